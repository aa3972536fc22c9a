/**
 * Not alone: another authorization plugin before or after ours, and two engines
 * on a host with a plugin each.
 */

import { sleep } from "../../helpers/programs.ts";
import { engineTest, Harness } from "../harness.ts";
import { Plugin } from "../plugin.ts";
import { assert, assertEquals, passes, refused, saidBy } from "../verdict.ts";

/** A message of the engine, as far as these tests look. */
interface Message {
  RequestMethod: string;
  RequestUri: string;
  RequestBody?: string;
}

/**
 * Another authorization plugin: it notes what it is shown, and refuses what it
 * is told to.
 */
class Other implements AsyncDisposable {
  /**
   * The calls, in the order they came, as `request POST /containers/create`;
   * the API's version is left out.
   */
  seen: string[] = [];
  /** The bodies of creates, as it was shown them. */
  bodies: string[] = [];
  /** Which calls it refuses. */
  refuses: (call: string) => boolean = () => false;
  #server: Deno.HttpServer;

  constructor(h: Harness, readonly name: string) {
    const path = `${h.dir}/run/${name}.sock`;
    this.#server = Deno.serve(
      { path, onListen() {} },
      (request) => this.#answer(request),
    );
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const text = await request.text();
    if (pathname === "/Plugin.Activate") {
      return Response.json({ Implements: ["authz"] });
    }
    const message: Message = JSON.parse(text);
    const phase = pathname === "/AuthZPlugin.AuthZReq" ? "request" : "answer";
    const uri = message.RequestUri.replace(/^\/v[\d.]+/, "");
    const call = `${phase} ${message.RequestMethod} ${uri}`;
    this.seen.push(call);
    if (phase === "request" && uri === CREATE && message.RequestBody) {
      this.bodies.push(atob(message.RequestBody));
    }
    return Response.json(
      this.refuses(call) ? { Allow: false, Msg: "not by me" } : { Allow: true },
    );
  }

  /** What it is shown of a piece of work. */
  async during(work: () => Promise<unknown>): Promise<string[]> {
    this.seen = [];
    this.bodies = [];
    await work();
    return this.seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const CREATE = "/containers/create";
const WITH_VOLUME = { Image: "plain:1", Volumes: { "/test": {} } };
const WITH_BIND = {
  Image: "plain:1",
  Cmd: ["true"],
  HostConfig: { Binds: ["/tmp:/test"] },
};
const OUR_WORDS = "volumes are not allowed: anonymous volume at /test";

/** Their own inspects apart, which come and go with what the policies ask. */
const ofClients = (calls: string[]) =>
  calls.filter((call) => !/ GET \/(images|containers)\//.test(call));

/** Refused by the other plugin: in its name, and nothing is made. */
async function refusedByOther(
  h: Harness,
  other: Other,
  body: Record<string, unknown>,
): Promise<void> {
  const before = await h.state();
  const answer = await h.api("POST", CREATE, body);
  assertEquals(answer.status, 403, answer.body);
  assertEquals(
    answer.message,
    `authorization denied by plugin ${other.name}: not by me`,
  );
  assertEquals(await h.state(), before);
}

engineTest("another plugin, before ours and after it", async (t, h) => {
  await h.image("plain:1");
  await using other = new Other(h, `${h.pluginName}-other`);
  const isCreate = (call: string) => call.startsWith(`request POST ${CREATE}`);
  const denials = async () =>
    (await h.plugin!.log()).split("\n").filter((line) =>
      line.includes("denied ")
    ).length;
  const create = (body: Record<string, unknown>) => () =>
    h.api("POST", CREATE, body);

  await h.guard();
  await h.dockerd.setPlugins([other.name, h.pluginName]);

  await t.step("before ours: it sees what ours refuses", async () => {
    const seen = await other.during(() =>
      refused(h, create(WITH_VOLUME), OUR_WORDS)
    );
    assertEquals(seen.filter(isCreate).length, 1);
    assert(!seen.includes(`answer POST ${CREATE}`), seen.join("\n"));
  });

  await t.step("before ours: ours is not asked what it refuses", async () => {
    const before = await denials();
    other.refuses = isCreate;
    await refusedByOther(h, other, WITH_VOLUME);
    await refusedByOther(h, other, WITH_BIND);
    other.refuses = () => false;
    assertEquals(await denials(), before);
  });

  await t.step("before ours: what both allow passes", async () => {
    const seen = await other.during(() => passes(h, create(WITH_BIND)));
    assertEquals(
      ofClients(seen).filter((call) => call.includes(CREATE)),
      [`request POST ${CREATE}`, `answer POST ${CREATE}`],
    );
  });

  await h.dockerd.setPlugins([h.pluginName, other.name]);

  await t.step("after ours: it does not see what ours refuses", async () => {
    const seen = await other.during(() =>
      refused(h, create(WITH_VOLUME), OUR_WORDS)
    );
    assertEquals(seen.filter(isCreate), []);
  });

  await t.step("after ours: it can refuse what ours allows", async () => {
    other.refuses = isCreate;
    await refusedByOther(h, other, WITH_BIND);
    other.refuses = () => false;
  });

  await t.step("after ours: it gets the body as it was sent", async () => {
    await other.during(() => passes(h, create(WITH_BIND)));
    assertEquals(other.bodies, [JSON.stringify(WITH_BIND)]);
  });

  // The plugin's questions are calls like any other.
  for (const order of ["after", "before"]) {
    await h.dockerd.setPlugins(
      order === "after"
        ? [h.pluginName, other.name]
        : [other.name, h.pluginName],
    );
    await t.step(
      `${order} ours: where it keeps our questions from the engine, nothing passes`,
      async () => {
        other.refuses = (call) => call.startsWith("request GET /images/");
        await refused(
          h,
          create(WITH_BIND),
          new RegExp(`^engine can't be asked: .*${other.name}`),
        );
        other.refuses = () => false;
        await passes(h, create(WITH_BIND));
      },
    );
  }
});

engineTest("two engines on a host, with a plugin each", async (t, first) => {
  const second = await Harness.start();
  try {
    await twoEngines(t, first, second);
  } finally {
    await second.stop();
  }
});

/** A port that nobody listens on now. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

async function twoEngines(
  t: Deno.TestContext,
  first: Harness,
  second: Harness,
): Promise<void> {
  const ports = [freePort(), freePort()];
  const addr = (port: number) => ["--addr", `127.0.0.1:${port}`];
  // One name, two images.
  await first.image("app:1", { changes: ["VOLUME /data"] });
  await second.image("app:1");
  await first.must("create", "--name", "old", "app:1");

  await first.guard({ config: "[volumes]\n", args: addr(ports[0]) });
  await second.guard({
    config: '[volumes]\n[images]\n  whitelist = ["^good/"]\n',
    args: addr(ports[1]),
  });
  // On a host they share /run/docker/plugins, and each sees the other's plugin.
  for (const [h, other] of [[first, second], [second, first]]) {
    await Deno.link(h.pluginSocket, `${other.dir}/run/${h.pluginName}.sock`);
  }
  const create = (h: Harness) => () => h.docker("create", "app:1");

  await t.step("each plugin asks its own engine", async () => {
    await refused(
      first,
      create(first),
      "volumes are not allowed: image app:1 declares VOLUME /data",
    );
    await passes(second, create(second));
    await refused(first, () => first.docker("start", "old"), /container old /);
    const start = await second.docker("start", "old");
    assert(start.stderr.includes("No such container"), start.stderr);
  });

  await t.step("each has a policy of its own", async () => {
    await refused(
      second,
      () => second.docker("pull", "evil/x:1"),
      "image evil/x:1 is not allowed: not on the whitelist",
    );
    const pull = await first.docker("pull", "evil/x:1");
    assert(pull.code !== 0);
    assertEquals(saidBy(first, pull.stderr), undefined, pull.stderr);
  });

  await t.step("each has a monitor API of its own", async () => {
    const sections = await Promise.all(ports.map(async (port) => {
      const answer = await fetch(`http://127.0.0.1:${port}/config`);
      return Object.keys(await answer.json());
    }));
    assertEquals(sections, [["volumes"], ["volumes", "images"]]);
  });

  await t.step("two on one monitor address: the second says so", async () => {
    await using third = await Plugin.start({
      socket: `${second.dir}/third.sock`,
      host: `unix://${second.dockerd.socket}`,
      dir: second.dir,
      args: addr(ports[0]),
    });
    const said = `the monitor API on 127.0.0.1:${ports[0]}: it is in use by `;
    for (let tries = 0;; tries++, await sleep(50)) {
      const log = await third.log();
      if (log.includes(said)) break;
      assert(tries < 100, log);
    }
  });

  await t.step("when one crashes, the other engine goes on", async () => {
    await first.plugin!.kill();
    await passes(second, create(second));
    const closed = await first.api("GET", "/info");
    assert(closed.status >= 400, closed.body);
    assert(closed.message.includes(first.pluginName), closed.body);
    await first.startPlugin({ args: addr(ports[0]) });
    await refused(first, create(first), /declares VOLUME/);
  });
}
