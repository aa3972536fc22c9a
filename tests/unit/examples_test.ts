/**
 * The examples of settings: they can be followed, and hold what they promise.
 */
import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../lib/call/json.ts";
import type { Config } from "../../lib/config/config.ts";
import { loadConfig, parseConfig } from "../../lib/config/load.ts";
import { printConfig } from "../../lib/config/show.ts";
import { startWarnings } from "../../lib/config/warnings.ts";
import { decidePrivileges } from "../../lib/policy/privileges.ts";
import { decideVolumes } from "../../lib/policy/volumes.ts";
import { callOf, engineWith, request, said } from "./requests.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

const ENGINE = engineWith({
  inspectImage: () => Promise.resolve(undefined),
  inspectEveryPlatform: () => Promise.resolve([]),
  findContainers: () => Promise.resolve([]),
});

function read(name: string): Config {
  return loadConfig(new URL(`${name}.toml`, EXAMPLES).pathname);
}

/** What both policies say of a create; `allowed` if they do. */
async function create(config: Config, body: JsonObject): Promise<string> {
  const call = callOf(
    request("POST /containers/create", { Image: "x", ...body }),
  );
  const volumes = await decideVolumes(config.volumes!, call, ENGINE);
  return said(
    volumes.allow
      ? await decidePrivileges(config.privileges!, call, ENGINE)
      : volumes,
  );
}

/** What each of them wants a container to have. */
const GOOD: Record<string, JsonObject> = {
  "classroom": {
    HostConfig: {
      Memory: 1,
      PidsLimit: 1,
      SecurityOpt: ["no-new-privileges:true"],
      Binds: ["/srv/students/ann:/home", "/srv/course/1:/course:ro"],
    },
  },
  "build-host": {
    HostConfig: {
      Memory: 1,
      CapAdd: ["SYS_NICE"],
      Binds: ["/var/lib/ci/workspaces/7:/work"],
    },
  },
  "paas-node": {
    User: "1000:1000",
    HostConfig: {
      Memory: 1,
      PidsLimit: 1,
      ReadonlyRootfs: true,
      SecurityOpt: ["no-new-privileges"],
      LogConfig: { Type: "gelf", Config: { "gelf-address": "udp://x:1" } },
      Binds: ["/srv/apps/shop:/data"],
    },
  },
};

/** What none of them lets a container have. */
const BAD: [JsonObject, string][] = [
  [{ Privileged: true }, "privileges: --privileged"],
  [{ PidMode: "host" }, "privileges: --pid=host"],
  [{ Binds: ["/:/host"] }, "bind mount of /"],
  [{ Binds: ["/run/docker.sock:/x"] }, "bind mount of /run/docker.sock"],
  [{ Binds: ["/srv/apps/shop/link:/x"] }, "bind mount of /srv/apps/shop/link"],
  [{ Binds: ["/srv/course:/x"] }, "bind mount of /srv/course"],
  [{ Binds: ["data:/x"] }, 'volumes are not allowed: named volume "data"'],
  [{ CapAdd: ["SYS_ADMIN"] }, "privileges: --cap-add SYS_ADMIN"],
];

Deno.test("examples: there are three, and each is tested", () => {
  assertEquals(
    [...Deno.readDirSync(EXAMPLES)].map(({ name }) => name).toSorted(),
    Object.keys(GOOD).map((name) => `${name}.toml`).toSorted(),
  );
});

for (const [name, body] of Object.entries(GOOD)) {
  Deno.test(`examples: ${name}`, async () => {
    const config = read(name);
    const warnings = startWarnings(config);
    assertEquals(warnings.filter((text) => text.includes("[privileges]")), []);
    const withoutFiles = (text: string) => text.replace(/^# .*$/gm, "");
    assertEquals(
      withoutFiles(printConfig(parseConfig("x", printConfig(config)))),
      withoutFiles(printConfig(config)),
    );
    assertEquals(await create(config, body), "allowed");
    for (const [more, message] of BAD) {
      const hostConfig = body.HostConfig as JsonObject;
      const denied = await create(config, {
        ...body,
        HostConfig: { ...hostConfig, ...more },
      });
      assertEquals(denied.slice(0, message.length), message);
    }
  });
}
