/**
 * The image policy before a real engine. The verdict is not what an answer
 * says, but what two registries and a web server on the engine's loop-back were
 * asked for, and which images are on the host afterwards.
 *
 * A third registry stands in for Docker Hub, as the engine's mirror of it.
 */

import type { ApiAnswer, Harness, Result, ServiceSpec } from "../harness.ts";
import { sleep } from "../../helpers/programs.ts";
import { eventually } from "../../helpers/waiting.ts";
import { rootFileSystem } from "../images.ts";
import { request, type RequestParts } from "../raw_http.ts";
import {
  allAsked,
  findClients,
  HUB_PORT,
  Registry,
  registryTest,
  WebServer,
  WITH_HUB,
} from "../registry.ts";
import {
  assert,
  assertEquals,
  type Call,
  type Message,
  refused,
  saidBy,
} from "../verdict.ts";

const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";

/** What the registries hold: each repository has a good image or a bad one. */
const GOOD = [
  "localhost:5001/library/alpine:3",
  "localhost:5001/library/alpine:latest",
  "localhost:5001/acme/app:1",
  "localhost:5002/ok:1",
  "localhost:5002/ok:2",
  "localhost:5002/mixed:good",
  "localhost/ok:1",
];
const BAD = [
  "localhost:5001/library/docker:latest",
  "localhost:5001/library/docker:dind",
  "localhost:5001/evil/x:1",
  "localhost:5002/evil:1",
  "localhost:5002/evil:latest",
  "localhost:5002/mixed:bad",
  "localhost/evil:1",
];

/** The engine with its registries, and the bad image's marks. */
interface Lab {
  h: Harness;
  hub: Registry;
  other: Registry;
  /** On port 443, with TLS. */
  tls: Registry;
  web: WebServer;
  /** The bad image's ID. */
  bad: string;
  /** The digest of its manifest. */
  badDigest: string;
  goodDigest: string;
}

const ALL = ["localhost:5001/", "localhost:5002/", "localhost/"];

/**
 * Fills the registries, or some of them, and leaves nothing of it on the host.
 */
async function setUp(h: Harness, hosts = ALL): Promise<Lab> {
  const good = await h.image("good:1", { files: { "which": "good\n" } });
  const bad = await h.image("bad:1", { files: { "which": "bad\n" } });
  const [hub, other, tls] = await Promise.all(
    [HUB_PORT, 5002, 443].map((port) => Registry.start(h, port)),
  );
  const web = await WebServer.start(h, {
    "Dockerfile": "FROM localhost:5002/evil:1\n",
    "rootfs.tar": await rootFileSystem(h.dockerd.busybox, { which: "web\n" }),
  });
  const push = async (id: string, name: string) => {
    await h.must("tag", id, name);
    const digest = (await h.must("push", name)).match(/sha256:[0-9a-f]{64}/);
    assert(digest);
    return digest[0];
  };
  // One by one: the registry mixes up pushes of one content at a time.
  let goodDigest = "", badDigest = "";
  const wanted = (name: string) => hosts.some((each) => name.startsWith(each));
  for (const name of GOOD.filter(wanted)) goodDigest = await push(good, name);
  for (const name of BAD.filter(wanted)) badDigest = await push(bad, name);
  const lab = { h, hub, other, tls, web, bad, badDigest, goodDigest };
  await removeImages(lab);
  await asked(lab);
  return lab;
}

/** Removes all images, and all that BuildKit keeps. */
async function removeImages({ h }: Lab): Promise<void> {
  await h.api("POST", "/build/prune?all=1");
  // An image goes after those that were made from it.
  for (let turns = 0; turns < 5; turns++) {
    for (const id of await images(h)) {
      await h.api("DELETE", `/images/${id}?force=1`);
    }
  }
  assertEquals(await images(h), []);
}

/** IDs of all images on the host. */
async function images(h: Harness): Promise<string[]> {
  const list = (await h.api("GET", "/images/json?all=1")).json<
    { Id: string }[]
  >();
  return [...new Set(list.map(({ Id }) => Id))].sort();
}

/** What all servers were asked for since the last time. */
function asked({ hub, other, tls, web }: Lab): Promise<string[]> {
  return allAsked(hub, other, tls, web);
}

/** The plugin refuses a call; no server hears of it, and no image comes. */
async function keptOut(lab: Lab, call: Call, message: Message): Promise<void> {
  const before = await images(lab.h);
  await asked(lab);
  await refused(lab.h, call, message);
  assertEquals(await asked(lab), []);
  assertEquals(await images(lab.h), before);
}

/** A call of the docker client, and what the plugin says of it. */
type Refusal = [call: () => Promise<Result>, message: string];

/**
 * The same of many calls of the docker client, which takes its time for each.
 */
async function allKeptOut(
  lab: Lab,
  calls: Refusal[],
): Promise<void> {
  const before = [await images(lab.h), await lab.h.state()];
  for (const [call, message] of calls) {
    await asked(lab);
    const { code, stderr } = await call();
    assertEquals(saidBy(lab.h, stderr.trim()), message, stderr);
    assert(code !== 0, "docker ended with 0");
    assertEquals(await asked(lab), []);
  }
  assertEquals([await images(lab.h), await lab.h.state()], before);
}

/**
 * The plugin lets a pull pass: a registry is asked for just this, whether it
 * has it or not.
 */
async function letIn(
  lab: Lab,
  call: Call,
  manifest: string,
): Promise<void> {
  await asked(lab);
  const answer = await call();
  assertEquals(saidBy(lab.h, textOf(answer)), undefined);
  const names = await asked(lab);
  const [, digest] = manifest.split("@");
  if (digest === undefined) {
    // It goes on to ask by digest.
    assertEquals(withoutDigests(names), [manifest], textOf(answer));
  } else if (!textOf(answer).includes(`Digest: ${digest}`)) {
    // An engine that has the manifest does not ask for it again.
    assertEquals(names, [manifest], textOf(answer));
  }
}

/**
 * The plugin lets a pull pass, and the engine does not find its registry, which
 * is not on this machine.
 */
async function leftToTheNetwork(lab: Lab, call: Call): Promise<void> {
  const answer = await call();
  assert(/dial tcp|lookup |no such host/.test(textOf(answer)), textOf(answer));
  assertEquals(saidBy(lab.h, textOf(answer)), undefined);
}

function textOf(answer: Result | ApiAnswer): string {
  return "status" in answer
    ? answer.message + answer.body
    : answer.stdout + answer.stderr;
}

const notListed = (image: string) =>
  `image ${image} is not allowed: not on the whitelist`;
const blacklisted = (image: string, by: string) =>
  `image ${image} is not allowed: blacklisted by ${by}`;
const mayHaveForm =
  "request can't be checked: it may carry a form that overrides its query: " +
  'send it without a Content-Type, or with "Content-Length: 0", as ' +
  "docker-java 3.5 or later does";

/**
 * `POST /images/create` with a query, as the docker client sends it, unless
 * `parts` says otherwise.
 */
function create(query: string, parts: RequestParts = {}): Uint8Array {
  return request("POST", `/v1.41/images/create?${query}`, parts);
}

/** A form in the body, and what is sent with it. */
function form(
  query: string,
  body: string,
  types: string[],
  parts: RequestParts = {},
): Uint8Array {
  return create(query, {
    ...parts,
    body,
    headers: [
      ...parts.headers ?? [],
      ...types.map((type): [string, string] => ["Content-Type", type]),
    ],
  });
}

/** A request, hand-written, for a bad image. */
interface Trick {
  bytes: Uint8Array;
  message: Message;
  /**
   * What an engine without the plugin asks for, or the digest that it pulls.
   */
  bites: string[] | string;
}

/**
 * Tries that name the bad image somewhere, for a policy that wants `ok` and
 * `mixed:good` only.
 */
function tricks(lab: Lab): Record<string, Trick> {
  const ok = "fromImage=localhost:5002/ok&tag=1";
  const evil = "fromImage=localhost:5002/evil&tag=1";
  const no = notListed("localhost:5002/evil:1");
  const { badDigest, goodDigest } = lab;
  const byForm = (bytes: Uint8Array, bites = ["evil:1"]): Trick => ({
    bytes,
    message: mayHaveForm,
    bites,
  });
  const byQuery = (
    query: string,
    bites: Trick["bites"] = ["evil:1"],
    message = no,
  ): Trick => ({ bytes: create(query), message, bites });
  return {
    "a form": byForm(form(ok, evil, [FORM])),
    "a form, chunked": byForm(form(ok, evil, [FORM], { chunk: 7 })),
    "a form, chunked, with Content-Length: 0": byForm(
      form(ok, evil, [FORM], {
        chunk: 100,
        headers: [["Content-Length", "0"]],
      }),
    ),
    "a form, with JSON as second Content-Type": byForm(
      form(ok, evil, [FORM, JSON_TYPE]),
    ),
    "a form, chunked, with JSON as second Content-Type": byForm(
      form(ok, evil, [FORM, JSON_TYPE], { chunk: 100 }),
    ),
    "a form, with an empty second Content-Type": byForm(
      form(ok, evil, [FORM, ""]),
    ),
    "a form, its type spelt in another way": byForm(
      form(ok, evil, ["Application/X-WWW-Form-URLEncoded ; charset=utf-8"]),
    ),
    "a form with a tag alone": byForm(
      form("fromImage=localhost:5002/mixed&tag=good", "tag=bad", [FORM]),
      ["mixed:bad"],
    ),
    "a form of several parts": byForm(
      form(
        ok,
        '--b\r\nContent-Disposition: form-data; name="fromImage"\r\n\r\nlocalhost:5002/evil\r\n--b--\r\n',
        ["multipart/form-data; boundary=b"],
      ),
      ["ok:1"],
    ),
    "a form, and an import by its query": {
      bytes: form("fromSrc=-&repo=x", evil, [FORM]),
      message: /^docker import is not allowed: /,
      bites: ["evil:1"],
    },
    "a form, and no query": {
      bytes: form("", evil, [FORM]),
      message: /^docker import is not allowed: /,
      bites: ["evil:1"],
    },
    "the first of two": byQuery(`${evil}&fromImage=localhost:5002/ok&tag=2`),
    "the first of two tags": byQuery(
      "fromImage=localhost:5002/mixed&tag=bad&tag=good",
      ["mixed:bad"],
      notListed("localhost:5002/mixed:bad"),
    ),
    "an encoded key": byQuery(
      "%66rom%49mage=localhost:5002/evil&fromImage=localhost:5002/ok&%74ag=1",
    ),
    "an encoded value": byQuery(
      "fromImage=localhost%3A5002%2F%65vil&tag=%31",
    ),
    "a key of another case first": byQuery(
      `fromimage=localhost:5002/ok&FROMIMAGE=localhost:5002/ok&${evil}`,
    ),
    "empty parts": byQuery(`&&=&=x&${evil}&&`),
    "the tag in the name": byQuery("fromImage=localhost:5002/evil:1"),
    "another tag in the name": byQuery(
      "fromImage=localhost:5002/mixed:good&tag=bad",
      ["mixed:bad"],
      notListed("localhost:5002/mixed:bad"),
    ),
    "no tag: all of them": byQuery(
      "fromImage=localhost:5002/evil",
      ["evil, all tags", "evil:1", "evil:latest"],
      "all tags of localhost:5002/evil are not allowed: they can't be judged " +
        "one by one, and no whitelist entry matches the name without a tag; " +
        "pull a tag",
    ),
    "an empty tag: all of them": byQuery(
      "fromImage=localhost:5002/mixed&tag=",
      ["mixed, all tags", "mixed:bad", "mixed:good"],
      "all tags of localhost:5002/mixed are not allowed: they can't be judged " +
        "one by one, and no whitelist entry matches the name without a tag; " +
        "pull a tag",
    ),
    "a digest in the tag": byQuery(
      `fromImage=localhost:5002/mixed:good&tag=${badDigest}`,
      badDigest,
      notListed(`localhost:5002/mixed:${badDigest}`),
    ),
    "a digest in the name": byQuery(
      `fromImage=localhost:5002/mixed@${badDigest}`,
      badDigest,
      notListed(`localhost:5002/mixed:${badDigest}`),
    ),
    "a digest in the name, behind a tag": byQuery(
      `fromImage=localhost:5002/mixed:good@${badDigest}`,
      badDigest,
      notListed(`localhost:5002/mixed:${badDigest}`),
    ),
    "a digest in the name, beside a tag": byQuery(
      `fromImage=localhost:5002/mixed@${badDigest}&tag=good`,
      badDigest,
      notListed(`localhost:5002/mixed:${badDigest}`),
    ),
    "a digest that replaces another": byQuery(
      `fromImage=localhost:5002/mixed@${goodDigest}&tag=${badDigest}`,
      badDigest,
      notListed(`localhost:5002/mixed:${badDigest}`),
    ),
    "a platform": byQuery(`${evil}&platform=linux/amd64`),
    "a path with escapes": {
      bytes: request("POST", `/v1.41/images%2Fcre%61te?${evil}`),
      message: no,
      bites: ["evil:1"],
    },
    "a version with escapes": {
      bytes: request("POST", `/%761.41/images/create?${evil}`),
      message: no,
      bites: ["evil:1"],
    },
    "no version": {
      bytes: request("POST", `/images/create?${evil}`),
      message: no,
      bites: ["evil:1"],
    },
    "the absolute form": {
      bytes: request("POST", `http://any/v1.41/images/create?${evil}`),
      message: no,
      bites: ["evil:1"],
    },
    "a semicolon": {
      bytes: create(`${ok};${evil}`),
      message: /^request can't be checked: its query has a ";"/,
      bites: [],
    },
    "a bad escape": {
      bytes: create(`${ok}&x=%zz&${evil}`),
      message:
        /^request can't be checked: its query has a "%" that begins no escape/,
      bites: [],
    },
    "a name that is none": {
      bytes: create("fromImage=localhost:5002/Evil&tag=1"),
      message:
        'request can\'t be checked: image "localhost:5002/Evil": invalid ' +
        "reference format: repository name must be lowercase",
      bites: [],
    },
  };
}

for (const store of ["classic", "containerd"]) {
  const features = { "containerd-snapshotter": store === "containerd" };
  registryTest(
    `pulls, as hand-written requests, with the ${store} image store`,
    (t, h) => {
      const known = store === "classic" || h.version.major >= 26;
      return known ? pullsByHand(t, h) : Promise.resolve();
    },
    { config: { ...WITH_HUB.config, features } },
  );
}

async function pullsByHand(t: Deno.TestContext, h: Harness): Promise<void> {
  const { Driver } = (await h.api("GET", "/info")).json<{ Driver: string }>();
  await t.step(`image store: ${Driver}`, () => {});
  const lab = await setUp(h, ["localhost:5002/"]);
  const all = Object.entries(tricks(lab));

  await t.step("without the plugin, the engine pulls by each", async () => {
    for (const [name, { bytes, bites }] of all) {
      const { body } = await h.send(bytes);
      const names = withoutDigests(await asked(lab)).sort();
      if (typeof bites !== "string") assertEquals(names, bites, name);
      // What the engine has it does not ask for again.
      else assert(body.includes(`Digest: ${bites}`), `${name}: ${body}`);
    }
    assert((await images(h)).includes(lab.bad));
  });
  await removeImages(lab);
  await h.guard({
    config: `
      [images]
      whitelist = ["^localhost:5002/ok:[12]$", "^localhost:5002/mixed:good$"]`,
  });
  for (const [name, { bytes, message }] of all) {
    await t.step(
      `kept out: ${name}`,
      () => keptOut(lab, () => h.send(bytes), message),
    );
  }

  const ok = "fromImage=localhost:5002/ok&tag=1";
  await t.step(
    "kept out: docker-java's request, with the way out",
    () =>
      keptOut(
        lab,
        () =>
          h.send(
            create(ok, { bare: true, headers: [["Content-Type", JSON_TYPE]] }),
          ),
        mayHaveForm,
      ),
  );
  await t.step("PUT is no way to pull", async () => {
    const answer = await h.send(
      request("PUT", "/v1.41/images/create", {
        body: "fromImage=localhost:5002/evil&tag=1",
        headers: [["Content-Type", FORM]],
      }),
    );
    assert([404, 405].includes(answer.status), answer.body);
    assertEquals(await asked(lab), []);
  });

  const honest: Record<string, Uint8Array> = {
    "the docker client's": create(ok),
    "with credentials": create(ok, {
      headers: [["X-Registry-Auth", "e30="], ["Content-Type", "text/plain"]],
    }),
    "curl -X POST": create(ok, { bare: true }),
    "dockerode's, with a small JSON body": create(ok, { body: {} }),
    "docker-java's, with a length": create(ok, {
      headers: [["Content-Type", JSON_TYPE]],
    }),
    "an empty form": create(ok, { headers: [["Content-Type", FORM]] }),
    "the first of two": create(`${ok}&fromImage=localhost:5002/evil&tag=2`),
    "keys of another case, which the engine does not know": create(
      `FromImage=localhost:5002/evil&Tag=bad&${ok}`,
    ),
    "a form as second Content-Type": form(
      ok,
      "fromImage=localhost:5002/evil&tag=1",
      [JSON_TYPE, FORM],
    ),
  };
  for (const [name, bytes] of Object.entries(honest)) {
    await t.step(
      `let in: ${name}`,
      () => letIn(lab, () => h.send(bytes), "ok:1"),
    );
  }
  await t.step("let in: a tag that replaces the name's", () =>
    letIn(
      lab,
      () => h.send(create("fromImage=localhost:5002/mixed:bad&tag=good")),
      "mixed:good",
    ));

  await t.step("nothing bad came", () => nothingBad(lab));
}

/** No image on the host is the bad one. */
async function nothingBad({ h, bad }: Lab): Promise<void> {
  assert(!(await images(h)).includes(bad), "the bad image is on the host");
  const list = await h.must("images", "--all", "--no-trunc", "--digests");
  assert(!list.includes(bad), list);
}

registryTest("pulls by the docker clients, in every spelling", async (t, h) => {
  const lab = await setUp(h);
  const { badDigest, goodDigest } = lab;
  const clients = [...await findClients()];
  await h.guard({
    config: `
      [images]
      blacklist = ["^docker:", "^evil/", "^localhost:5002/evil:", "^localhost/evil:", '^localhost:5002/mixed:(bad|sha256:)']
      default-allow = true`,
  });

  const hub = (image: string) => blacklisted(image, "^docker:");
  const refusals: Record<string, string> = {
    "docker": hub("docker:latest"),
    "docker:latest": hub("docker:latest"),
    "docker:dind": hub("docker:dind"),
    "library/docker": hub("docker:latest"),
    "docker.io/docker": hub("docker:latest"),
    "docker.io/library/docker:dind": hub("docker:dind"),
    "index.docker.io/docker": hub("docker:latest"),
    "index.docker.io/library/docker:dind": hub("docker:dind"),
    // No mirror is asked for these; they are Docker Hub all the same.
    "registry-1.docker.io/library/docker": hub("docker:latest"),
    "docker.io:443/library/docker:dind": hub("docker:dind"),
    [`docker@${badDigest}`]: hub(`docker:${badDigest}`),
    [`docker:dind@${badDigest}`]: hub(`docker:${badDigest}`),
    [`docker.io/library/docker:3@${badDigest}`]: hub(`docker:${badDigest}`),
    "evil/x:1": blacklisted("evil/x:1", "^evil/"),
    "docker.io/evil/x:1": blacklisted("evil/x:1", "^evil/"),
    "localhost:5002/evil": blacklisted(
      "localhost:5002/evil:latest",
      "^localhost:5002/evil:",
    ),
    "LOCALHOST:5002/evil:1": blacklisted(
      "localhost:5002/evil:1",
      "^localhost:5002/evil:",
    ),
    "localhost:05002/evil:1": blacklisted(
      "localhost:5002/evil:1",
      "^localhost:5002/evil:",
    ),
    "localhost/evil:1": blacklisted("localhost/evil:1", "^localhost/evil:"),
    "localhost:443/evil:1": blacklisted("localhost/evil:1", "^localhost/evil:"),
    "LocalHost:0443/evil:1": blacklisted(
      "localhost/evil:1",
      "^localhost/evil:",
    ),
    [`localhost:5002/mixed:good@${badDigest}`]: blacklisted(
      `localhost:5002/mixed:${badDigest}`,
      "^localhost:5002/mixed:(bad|sha256:)",
    ),
  };
  const pulls: Record<string, string> = {
    "alpine": "library/alpine:latest",
    "alpine:3": "library/alpine:3",
    "library/alpine": "library/alpine:latest",
    "docker.io/alpine": "library/alpine:latest",
    "docker.io/library/alpine:3": "library/alpine:3",
    "index.docker.io/library/alpine:3": "library/alpine:3",
    "acme/app:1": "acme/app:1",
    "acme/docker:1": "acme/docker:1",
    "localhost:5002/docker:1": "docker:1",
    "LOCALHOST:5002/ok:2": "ok:2",
    "localhost/ok:1": "ok:1",
    "localhost:443/ok:1": "ok:1",
    [`localhost:5002/ok@${goodDigest}`]: `ok@${goodDigest}`,
    [`localhost:5002/ok:2@${goodDigest}`]: `ok@${goodDigest}`,
  };
  for (const [version, client] of clients) {
    const pull = (...args: string[]) => () =>
      h.dockerBy(client, ["pull", ...args]);
    await t.step(`client ${version}: kept out`, () =>
      allKeptOut(lab, [
        ...Object.entries(refusals).map(([image, message]): Refusal => [
          pull(image),
          message,
        ]),
        [
          pull("--platform", "linux/amd64", "--quiet", "docker:dind"),
          hub("docker:dind"),
        ],
        [
          () => h.dockerBy(client, ["run", "--rm", "docker:dind"]),
          hub("docker:dind"),
        ],
        [
          pull("--all-tags", "localhost:5002/ok"),
          "all tags of localhost:5002/ok are not allowed: they can't be " +
          "judged one by one, and some of them may be blacklisted; pull a tag",
        ],
      ]));
    await t.step(`client ${version}: let in`, async () => {
      for (const [image, manifest] of Object.entries(pulls)) {
        await letIn(lab, pull(image), manifest);
      }
      await letIn(
        lab,
        pull("--platform", "linux/amd64", "--quiet", "alpine:3"),
        "library/alpine:3",
      );
      await leftToTheNetwork(lab, pull("quay.io/docker:1"));
    });
  }
  await t.step("the names of 20.10 and of today, one verdict", async () => {
    for (
      const [old, today] of [
        ["docker", "docker.io/library/docker"],
        ["evil/x", "docker.io/evil/x"],
      ]
    ) {
      for (const name of [old, today]) {
        await keptOut(
          lab,
          () => h.send(create(`fromImage=${name}&tag=1`)),
          blacklisted(`${old}:1`, old === "docker" ? "^docker:" : "^evil/"),
        );
      }
    }
    for (const name of ["alpine", "docker.io/library/alpine"]) {
      await letIn(
        lab,
        () => h.send(create(`fromImage=${name}&tag=3`)),
        "library/alpine:3",
      );
    }
  });
  await t.step("nothing bad came", async () => {
    await nothingBad(lab);
    // The setting-up pushed to it and got nothing. What one repository gave,
    // the engine does not get from another.
    assertEquals(await lab.hub.gaveAway(), ["library/alpine"]);
    assertEquals(await lab.other.gaveAway(), []);
    assertEquals(await lab.tls.gaveAway(), []);
  });
}, WITH_HUB);

/** The example in docker-image-policy's README, as it stands there. */
const OLD_JSON = String.raw`{
  "whitelist": [
    "^alpine:",
    "^docker\\.elastic\\.co/beats/filebeat:",
    "^gcr\\.io/google_containers",
    "^mysql:",
    "^nginx:",
    "^php:",
    "^apache:",
    "^quay\\.io/calico/cni",
    "^quay\\.io/calico/node",
    "^quay\\.io/coreos/flannel"
  ],
  "blacklist": [
    "^docker:"
  ],
  "defaultAllow": false
}
`;

registryTest("docker-image-policy's own file", async (t, h) => {
  const lab = await setUp(h, ["localhost:5001/", "localhost:5002/"]);
  const file = `${h.dir}/docker-image-policy.json`;
  await Deno.writeTextFile(file, OLD_JSON);
  await h.guard({ config: null, args: ["--config", file] });
  const digest = `sha256:${"ab".repeat(32)}`;

  for (const [version, client] of await findClients()) {
    const pull = (...args: string[]) => () =>
      h.dockerBy(client, ["pull", ...args]);
    await t.step(`client ${version}`, async () => {
      for (
        const [image, manifest] of [
          ["alpine", "library/alpine:latest"],
          ["alpine:3", "library/alpine:3"],
          ["mysql:8", "library/mysql:8"],
          ["docker.io/library/nginx", "library/nginx:latest"],
          ["php:8-cli", "library/php:8-cli"],
          [`nginx@${digest}`, `library/nginx@${digest}`],
        ]
      ) await letIn(lab, pull(image), manifest);
      for (
        const image of [
          "docker.elastic.co/beats/filebeat:5.2.2",
          "gcr.io/google_containers/pause-amd64:3.0",
          "quay.io/calico/cni:v1.5.5",
          "quay.io/calico/node",
          "quay.io/coreos/flannel:v0.7.0-amd64",
        ]
      ) await leftToTheNetwork(lab, pull(image));
      await leftToTheNetwork(lab, pull("-a", "quay.io/calico/cni"));
      await allKeptOut(lab, [
        ...["docker:latest", "docker:dind", "docker:17"].map((
          image,
        ): Refusal => [pull(image), blacklisted(image, "^docker:")]),
        ...[
          "busybox:latest",
          "evil/x:1",
          "alpine/git:latest",
          "evil/alpine:3",
          "docker.elastic.co/beats/metricbeat:5.2.2",
          "gcr.io/other/pause:1",
          "quay.io/calico/kube:1",
          "localhost:5002/ok:1",
          "docker-dev:1",
        ].map((image): Refusal => [pull(image), notListed(image)]),
        [
          pull("-a", "alpine"),
          "all tags of alpine are not allowed: they can't be judged one by " +
          "one, and no whitelist entry matches the name without a tag; pull " +
          "a tag",
        ],
      ]);
    });
  }
  await t.step(
    "builds and loads stay open, and the start says so",
    async () => {
      const log = await h.plugin?.log() ?? "";
      assert(
        /^warning: \[images\] covers pulls, not what comes in by build, load: /m
          .test(log),
        log,
      );
      const built = await h.api(
        "POST",
        `/build?remote=${lab.web.url}Dockerfile`,
      );
      assertEquals(built.status, 200, built.body);
      assertEquals(await asked(lab).then(withoutDigests), [
        "evil:1",
        "Dockerfile",
      ]);
      await h.must("save", "-o", `${h.dir}/client/all.tar`, lab.bad);
      await removeImages(lab);
      await h.must("load", "-i", `${h.dir}/client/all.tar`);
      assertEquals(await images(h), [lab.bad]);
    },
  );
  await t.step("imports stay closed", () =>
    keptOut(
      lab,
      () => h.docker("import", `${lab.web.url}rootfs.tar`),
      "docker import is not allowed: the images it brings can't be seen, and " +
        "allow-import in [images] is not true",
    ));
}, WITH_HUB);

function withoutDigests(names: string[]): string[] {
  return names.filter((each) => !each.includes("@"));
}

/**
 * BuildKit's client says no more than "received 403": puts to its words what
 * the plugin logged meanwhile.
 */
async function withReason(h: Harness, call: Call): Promise<Result> {
  const log = async () => await h.plugin?.log() ?? "";
  const before = (await log()).length;
  const { code, stdout, stderr } = await call() as Result;
  const [, message] = /denied .*\/session.* reason="?(docker .*?)"?$/m.exec(
    (await log()).slice(before),
  ) ??
    [];
  return {
    code,
    stdout,
    stderr: stderr.replace(
      "received 403",
      `$&: authorization denied by plugin ${h.pluginName}: ${message}`,
    ),
  };
}

/**
 * What BuildKit needs of a client: an upgrade to HTTP/2 on the plain socket.
 */
const UPGRADE: [string, string][] = [
  ["Connection", "Upgrade"],
  ["Upgrade", "h2c"],
];

/** The first line of an answer; one that upgrades has no other end. */
async function firstLine(h: Harness, bytes: Uint8Array): Promise<string> {
  using connection = await Deno.connect({
    transport: "unix",
    path: h.dockerd.socket,
  });
  await connection.write(bytes);
  const buffer = new Uint8Array(4096);
  const length = await connection.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, length)).split("\r\n")[0];
}

registryTest("builds, loads and imports", async (t, h) => {
  const lab = await setUp(h, ["localhost:5002/"]);
  const clients = [...await findClients()];
  const context = `${h.dir}/context`;
  await Deno.mkdir(context);
  await Deno.writeTextFile(
    `${context}/Dockerfile`,
    "FROM localhost:5002/evil:1\nCOPY Dockerfile /\n",
  );
  const plugin = `${h.dir}/engine-plugin`;
  await makePlugin(plugin);
  const rootfs = `${h.dir}/rootfs.tar`;
  await Deno.copyFile(`${h.dir}/web/rootfs.tar`, rootfs);
  await h.must("pull", "localhost:5002/ok:1");
  const saved = `${h.dir}/saved.tar`;
  await h.must("save", "-o", saved, "localhost:5002/ok:1");
  await removeImages(lab);
  // A build context as a client sends it.
  const tar = await new Deno.Command("tar", {
    args: ["-C", context, "-c", "."],
  })
    .output();

  const url = `${lab.web.url}rootfs.tar`;
  /** Calls through a door, with what they ask the servers for if it is open. */
  const doors: Record<
    "build" | "load" | "import",
    [name: string, call: Call, asks: string[]][]
  > = {
    build: [
      ...clients.flatMap(([version, client]) =>
        ["0", "1"]
          // Newer clients have no BuildKit of their own.
          .filter((kit) => kit === "0" || version === "20")
          .map((kit): [string, Call, string[]] => [
            `client ${version}, ${kit === "0" ? "classic" : "BuildKit"}`,
            () =>
              h.dockerBy(client, ["build", "--no-cache", context], {
                DOCKER_BUILDKIT: kit,
              }),
            ["evil:1"],
          ])
      ),
      [
        "by hand",
        () =>
          h.send(
            request("POST", "/build?nocache=1", {
              body: tar.stdout,
              headers: [["Content-Type", "application/x-tar"]],
              chunk: 4096,
            }),
          ),
        ["evil:1"],
      ],
      [
        "remote=",
        () => h.api("POST", `/v1.41/build?remote=${lab.web.url}Dockerfile`),
        ["evil:1", "Dockerfile"],
      ],
    ],
    load: [
      ["docker load", () => h.docker("load", "--input", saved), []],
      [
        "load by hand, chunked",
        async () =>
          h.send(
            request("POST", "/images/load?quiet=1", {
              body: await Deno.readFile(saved),
              headers: [["Content-Type", "application/x-tar"]],
              chunk: 100_000,
            }),
          ),
        [],
      ],
      [
        "docker plugin create",
        () => h.docker("plugin", "create", "own/plugin", plugin),
        [],
      ],
    ],
    import: [
      ["a file", () => h.docker("import", rootfs, "own:1"), []],
      ["a URL", () => h.docker("import", url, "own:2"), ["rootfs.tar"]],
      [
        "a URL, by hand",
        () => h.api("POST", `/images/create?fromSrc=${url}&repo=own&tag=3`),
        ["rootfs.tar"],
      ],
      [
        "an empty fromImage",
        () => h.api("POST", `/images/create?fromImage=&fromSrc=${url}`),
        ["rootfs.tar"],
      ],
    ],
  };
  const said = {
    build: "docker build",
    load: "docker (load|plugin create)",
    import: "docker import",
  };

  await h.guard({ config: '[images]\nwhitelist = ["^localhost:5002/ok:"]' });
  for (const [door, calls] of Object.entries(doors)) {
    for (const [name, call] of calls) {
      await t.step(`${door} closed: ${name}`, () =>
        keptOut(
          lab,
          name.endsWith("BuildKit") ? () => withReason(h, call) : call,
          new RegExp(
            `^${
              said[door as keyof typeof said]
            } is not allowed: the images it brings can't be seen, and ` +
              `allow-${door} in \\[images\\] is not true$`,
          ),
        ));
    }
  }
  for (const path of ["/session", "/v1.41/session", "/grpc", "/gr%70c"]) {
    const bytes = request("POST", path, { bare: true, headers: UPGRADE });
    await t.step(
      `build closed: POST ${path}`,
      () => keptOut(lab, () => h.send(bytes), /^docker build is not allowed: /),
    );
  }
  assertEquals(await images(h), []);

  await h.guard({
    config: `
      [images]
      whitelist = ["^localhost:5002/ok:"]
      allow-build = true
      allow-load = true
      allow-import = true`,
  });
  for (const [door, calls] of Object.entries(doors)) {
    for (const [name, call, asks] of calls) {
      await t.step(`${door} open: ${name}`, async () => {
        await removeImages(lab);
        await asked(lab);
        const answer = await call();
        assert(
          "code" in answer ? answer.code === 0 : answer.status < 300 &&
            !answer.body.includes("errorDetail"),
          textOf(answer),
        );
        assertEquals(withoutDigests(await asked(lab)), asks);
        if (name !== "docker plugin create") {
          assert((await images(h)).length > 0, "no image came");
        }
      });
    }
  }
  for (const path of ["/session", "/grpc"]) {
    await t.step(`build open: POST ${path}`, async () => {
      const bytes = request("POST", path, { bare: true, headers: UPGRADE });
      assertEquals(
        await firstLine(h, bytes),
        "HTTP/1.1 101 Switching Protocols",
      );
    });
  }
  await t.step("pulls are judged all the same", async () => {
    await removeImages(lab);
    await keptOut(
      lab,
      () => h.docker("pull", "localhost:5002/evil:1"),
      notListed("localhost:5002/evil:1"),
    );
  });
}, WITH_HUB);

/**
 * An engine plugin that does nothing, as a folder for `docker plugin create`.
 */
async function makePlugin(dir: string): Promise<void> {
  await Deno.mkdir(`${dir}/rootfs`, { recursive: true });
  await Deno.writeTextFile(
    `${dir}/config.json`,
    JSON.stringify({
      description: "does nothing",
      interface: { types: ["docker.volumedriver/1.0"], socket: "none.sock" },
      entrypoint: ["/none"],
      network: { type: "none" },
      linux: {},
    }),
  );
}

registryTest("engine plugins", async (t, h) => {
  const other = await Registry.start(h, 5002);
  await makePlugin(`${h.dir}/engine-plugin`);
  for (const name of ["localhost:5002/good:1", "localhost:5002/bad:1"]) {
    await h.must("plugin", "create", name, `${h.dir}/engine-plugin`);
    await h.must("plugin", "push", name);
    await h.must("plugin", "rm", name);
  }
  await other.asked();
  const plugins = async () =>
    (await h.api("GET", "/plugins")).json<
      { Name: string; PluginReference: string }[]
    >().map(({ Name, PluginReference }) => `${Name} ${PluginReference}`);
  const good = "localhost:5002/good:1";
  const bad = "localhost:5002/bad:1";
  const granted = "--grant-all-permissions";
  const privileges = [{ Name: "network", Description: "", Value: ["none"] }];

  await h.guard({
    config: '[images]\nwhitelist = ["^localhost:5002/good:1$"]',
  });
  await t.step("let in", async () => {
    await h.must("plugin", "install", "--disable", granted, good);
    assertEquals(await other.asked().then(withoutDigests), ["good:1"]);
    await h.must("plugin", "upgrade", granted, good, good);
    assertEquals(await plugins(), [`${good} ${good}`]);
  });

  const no = notListed(bad);
  const calls: Record<string, [bytes: Uint8Array, message: string]> = {
    "pull": [
      request("POST", `/plugins/pull?remote=${bad}&name=${good}`, {
        body: privileges,
      }),
      no,
    ],
    "pull, the first of two": [
      request("POST", `/v1.41/plugins/pull?remote=${bad}&remote=${good}`, {
        body: privileges,
      }),
      no,
    ],
    "pull, encoded": [
      request("POST", "/plugins%2Fpull?%72emote=localhost%3A5002/b%61d:1", {
        body: privileges,
      }),
      no,
    ],
    "pull, by a form": [
      request("POST", `/plugins/pull?remote=${good}`, {
        body: `remote=${bad}`,
        headers: [["Content-Type", FORM]],
      }),
      mayHaveForm,
    ],
    "pull, by digest": [
      request(
        "POST",
        `/plugins/pull?remote=localhost:5002/bad@sha256:${"0".repeat(64)}`,
        { body: privileges },
      ),
      notListed(`localhost:5002/bad:sha256:${"0".repeat(64)}`),
    ],
    "upgrade": [
      request("POST", `/plugins/${good}/upgrade?remote=${bad}`, {
        body: privileges,
      }),
      no,
    ],
    "upgrade, the name escaped": [
      request(
        "POST",
        `/v1.41/plugins/localhost%3A5002%2Fgood:1/upgrade?remote=${bad}`,
        { body: privileges },
      ),
      no,
    ],
    "upgrade, by a form": [
      request("POST", `/plugins/${good}/upgrade?remote=${good}`, {
        body: `remote=${bad}`,
        headers: [["Content-Type", FORM], ["Content-Type", JSON_TYPE]],
      }),
      mayHaveForm,
    ],
  };
  const before = await plugins();
  await other.asked();
  for (const [name, [bytes, message]] of Object.entries(calls)) {
    await t.step(`kept out: ${name}`, async () => {
      await refused(h, () => h.send(bytes), message);
      assertEquals(await other.asked(), []);
      assertEquals(await plugins(), before);
    });
  }
  await t.step("kept out: docker plugin install and upgrade", async () => {
    // The client first asks what the plugin wants to be granted, and the
    // registry tells.
    await refused(h, () => h.docker("plugin", "install", granted, bad), no);
    await refused(
      h,
      () =>
        h.docker(
          "plugin",
          "upgrade",
          granted,
          "--skip-remote-check",
          good,
          bad,
        ),
      no,
    );
    assertEquals(await plugins(), before);
  });
});

registryTest("services", async (t, h) => {
  const lab = await setUp(h, ["localhost:5002/"]);
  await h.must("swarm", "init", "--advertise-addr", "127.0.0.1");
  const evil = "localhost:5002/evil:1";
  const ok = "localhost:5002/ok:1";
  const spec = (name: string, image: string, replicas = 1): ServiceSpec => ({
    Name: name,
    TaskTemplate: { ContainerSpec: { Image: image } },
    Mode: { Replicated: { Replicas: replicas } },
  });
  const version = async (name: string) =>
    (await h.api("GET", `/services/${name}`)).json<
      { Version: { Index: number } }
    >().Version.Index;
  const update = async (
    name: string,
    body: ServiceSpec | undefined,
    query = "",
  ) =>
    h.api(
      "POST",
      `/services/${name}/update?version=${await version(name)}${query}`,
      body,
    );
  const until = async (manifest: string) => {
    const end = Date.now() + 20_000;
    const names: string[] = [];
    while (!names.includes(manifest)) {
      assert(Date.now() < end, `the engine did not pull ${manifest}: ${names}`);
      await sleep(100);
      names.push(...await asked(lab));
    }
  };

  await t.step(
    "without the plugin, the engine pulls for a service",
    async () => {
      await h.api("POST", "/services/create", spec("probe", evil));
      await until("evil:1");
      // All of it, or the rest would come later.
      await untilContainers(h, (count) => count > 0);
      await h.must("service", "rm", "probe");
    },
  );
  // Specs to go back to, of services without tasks.
  for (const [name, first, second] of [["back", evil, ok], ["forth", ok, ok]]) {
    await h.api("POST", "/services/create", spec(name, first, 0));
    const changed = spec(name, second, 0);
    changed.TaskTemplate.ForceUpdate = 1;
    assertEquals((await update(name, changed)).status, 200);
  }
  await untilContainers(h, (count) => count === 0);
  await removeImages(lab);
  await h.guard({
    config: '[images]\nwhitelist = ["^localhost:5002/(ok|plug):[12]$"]',
  });
  const no = notListed(evil);
  const pluginSpec = (remote: string, key = "Remote") => ({
    Name: "plug",
    TaskTemplate: {
      Runtime: "plugin",
      PluginSpec: { Name: "plug", [key]: remote, Disabled: true },
    },
    Mode: { Global: {} },
  });

  const json = (body: unknown) => JSON.stringify(body);
  const raw = (path: string, body: string, parts: RequestParts = {}) =>
    h.send(
      request("POST", path, {
        body,
        headers: [["Content-Type", JSON_TYPE]],
        ...parts,
      }),
    );
  const calls: Record<string, [call: Call, message: Message]> = {
    "create": [() => h.api("POST", "/services/create", spec("s", evil)), no],
    "create, by digest": [
      () =>
        h.api(
          "POST",
          "/services/create",
          spec("s", `localhost:5002/ok:1@${lab.badDigest}`),
        ),
      notListed(`localhost:5002/ok:${lab.badDigest}`),
    ],
    "create, in another letter case": [
      () =>
        raw(
          "/v1.41/services/create",
          json(spec("s", evil)).replace("TaskTemplate", "taſktemplate")
            .replace("ContainerSpec", "containerSpec")
            .replace("Image", "image"),
        ),
      no,
    ],
    "create, the image twice": [
      () =>
        raw(
          "/services/create",
          json(spec("s", ok)).replace(
            '"Image"',
            `"Image":"${evil}","image"`,
          ),
        ),
      /two keys in .* mean the same field, "image"/,
    ],
    "create, the spec twice": [
      () =>
        raw(
          "/services/create",
          json(spec("s", ok)).replace(
            '"ContainerSpec"',
            `"ContainerSpec":{"Image":"${evil}"},"containerspec"`,
          ),
        ),
      /two keys in .* mean the same field, "containerspec"/,
    ],
    "create, with a body that no plugin sees": [
      () =>
        raw("/services/create", json(spec("s", evil)), {
          headers: [["Content-Type", "text/plain"]],
        }),
      /^request can't be checked: the engine shows its body only as JSON/,
    ],
    "create, of a plugin": [
      () => h.api("POST", "/services/create", pluginSpec(evil)),
      no,
    ],
    "create, of a plugin in another letter case": [
      () => h.api("POST", "/services/create", pluginSpec(evil, "remote")),
      no,
    ],
    "update": [() => update("forth", spec("forth", evil)), no],
    "update, the path escaped": [
      async () =>
        raw(
          `/v1.41/services/f%6Frth/upd%61te?version=${await version("forth")}`,
          json(spec("forth", evil)),
        ),
      no,
    ],
    // The engine reads the body all the same, if there is one that nobody sees.
    "update to the previous spec, without a body": [
      () => update("back", undefined, "&rollback=previous"),
      /^request can't be checked: /,
    ],
    "update to the previous spec, with another in the body": [
      () => update("back", spec("back", ok, 0), "&rollback=previous"),
      no,
    ],
    "update to the previous spec, said first of two": [
      () =>
        update(
          "back",
          spec("back", ok, 0),
          "&%72ollback=previ%6Fus&rollback=none",
        ),
      no,
    ],
    "update to no previous spec, which leaves the body to count": [
      () => update("forth", spec("forth", evil), "&rollback=Previous"),
      no,
    ],
    "docker service update": [
      () =>
        h.docker(
          ...["service", "update", "--detach", "--no-resolve-image"],
          ...["--image", evil, "forth"],
        ),
      no,
    ],
    "docker service create": [
      () =>
        h.docker(
          ...["service", "create", "--detach", "--no-resolve-image"],
          ...["--name=s", evil],
        ),
      no,
    ],
    "docker service rollback": [
      () => h.docker("service", "rollback", "--detach", "back"),
      no,
    ],
    "docker service update --rollback": [
      () => h.docker("service", "update", "--detach", "--rollback", "back"),
      no,
    ],
  };
  for (const [name, [call, message]] of Object.entries(calls)) {
    await t.step(`kept out: ${name}`, () => keptOut(lab, call, message));
  }
  await t.step("kept out: with the digest that the client looks up", () =>
    // It asks the registry through the engine before it creates the service.
    refused(
      h,
      () => h.docker("service", "create", "--detach", "--name=s", evil),
      notListed(`localhost:5002/evil:${lab.badDigest}`),
    ));
  await asked(lab);

  await t.step("let in: create and update", async () => {
    const created = await h.api("POST", "/services/create", spec("new", ok));
    assertEquals(created.status, 201, created.body);
    await until("ok:1");
    const body = spec("new", "localhost:5002/ok:2");
    assertEquals((await update("new", body)).status, 200);
    await until("ok:2");
  });
  await t.step("let in: back to a good previous spec", async () => {
    const answer = await update(
      "forth",
      spec("forth", evil),
      "&rollback=previous",
    );
    assertEquals(answer.status, 200, answer.body);
    await h.must("service", "rollback", "--detach", "forth");
  });
  await t.step("let in: a plugin", async () => {
    const answer = await h.api(
      "POST",
      "/services/create",
      pluginSpec("localhost:5002/plug:1"),
    );
    assertEquals(answer.status, 201, answer.body);
    await until("plug:1");
  });
  await t.step("let in: an image on the host by its ID", async () => {
    const answer = await h.api("POST", "/services/create", spec("id", lab.bad));
    assertEquals(answer.status, 201, answer.body);
  });
  await t.step("nothing bad came", () => nothingBad(lab));
  // 20.10 takes services of plugins with this alone.
}, { config: { ...WITH_HUB.config, experimental: true } });

/** Waits for swarm to have made containers, or to have removed them. */
async function untilContainers(
  h: Harness,
  enough: (count: number) => boolean,
): Promise<void> {
  await eventually("swarm is done", async () => {
    if (enough(0)) await h.clear(); // It would wait for their ends.
    return enough((await h.state()).containers.length);
  });
}

registryTest("without [images] every image is allowed", async (t, h) => {
  const lab = await setUp(h, ["localhost:5002/"]);
  await h.guard();
  await t.step("by each door", async () => {
    await letIn(
      lab,
      () => h.docker("pull", "localhost:5002/evil:1"),
      "evil:1",
    );
    await letIn(
      lab,
      () =>
        h.send(form("", "fromImage=localhost:5002/mixed&tag=bad", [FORM], {
          chunk: 10,
        })),
      "mixed:bad",
    );
    await h.must("import", `${lab.web.url}rootfs.tar`, "own:1");
  });
}, WITH_HUB);
