/**
 * `explain`: would the calls of a command be allowed, and by which rule?
 *
 * @module
 */
import type { AuthzRequest } from "../call/authz.ts";
import { Call } from "../call/call.ts";
import { routeOf } from "../call/endpoints.ts";
import { Unreadable } from "../call/unreadable.ts";
import { type CommonKeys, type Config, EVERYBODY } from "../config/config.ts";
import { ConfigError } from "../config/document.ts";
import { loadConfig } from "../config/load.ts";
import { type EngineEndpoint, engineEndpoint } from "../engine/address.ts";
import { engineClient } from "../engine/client.ts";
import { OwnCalls } from "../engine/own_calls.ts";
import { connectEngine, type Engine, EngineError } from "../engine/engine.ts";
import { SILENT } from "../log.ts";
import { readAuthzRequest, WireError } from "../server/wire.ts";
import { parseTarget } from "../call/target.ts";
import { messageOf, shown } from "../text.ts";
import {
  exemptionCheck,
  IdentityError,
  settingsFor,
} from "../verdict/exemptions.ts";
import { createFirstLine } from "../verdict/first_line.ts";
import { oneOf, readArgs, UsageError } from "./args.ts";
import { type Answer, serveProxy } from "./proxy.ts";
import { readWords } from "./words.ts";

/** What `explain` takes, for who mistyped. */
export const EXPLAIN_USAGE = "usage: docker-policy-plugin explain " +
  "[--user NAME] [--config FILE] [--host URL] [--cert-path DIR] " +
  "[--tls-verify] -- COMMAND ... | --request FILE|-";

const HELP = `${EXPLAIN_USAGE}

Runs a command with a socket of its own in DOCKER_HOST, and says whether what it
asks the engine for would be allowed, and by which rule. What only reads goes to
the engine; nothing else is done.

  --request FILE   a recorded AuthZ request instead, as the engine posts it;
                   - is the standard input
  --user NAME      who calls: the common name of a client certificate; each
                   verdict then names the [for.…] that decided, if any is there
  --config FILE, --host URL, --cert-path DIR, --tls-verify
                   as for the plugin itself

Exit status: 0 allowed, 1 refused; 2 nobody can tell, or usage.`;

/** The status with which `explain` ends. */
const EXIT = { allowed: 0, refused: 1, unknown: 2 };

/** What became of a call. */
interface Verdict {
  outcome: keyof typeof EXIT;
  text: string;
  /** What the client is answered. */
  answer: Answer;
}

const NOTHING_DONE: Answer = {
  status: 501,
  body: { message: "explain: would be allowed; nothing was done" },
};

/**
 * Prints on standard output which calls would be allowed; on standard error why
 * that can't be said, if it can't.
 *
 * @param words The words behind `explain`.
 * @returns The exit status: 0 if all is allowed, 1 if something is refused, 2
 *   if nobody can tell.
 * @throws {UsageError} If the words can't be followed.
 */
export async function explain(words: readonly string[]): Promise<number> {
  const wish = readWish(words);
  if (!wish) {
    console.log(HELP);
    return EXIT.allowed;
  }
  const { command, file, user, options } = wish;
  const args = readArgs(options);
  try {
    const endpoint = engineEndpoint(args);
    using client = engineClient(endpoint, { calls: new OwnCalls() });
    const engine = connectEngine(client);
    const judge = createJudge(loadConfig(args.config), engine, endpoint);
    return file === undefined
      ? await explainCommand(command, { user, engine, endpoint, judge })
      : await explainRequest(file, user, judge);
  } catch (error) {
    const isKnown = error instanceof ConfigError ||
      error instanceof EngineError || error instanceof WireError ||
      error instanceof Deno.errors.NotCapable; // Of a command, see there.
    if (!isKnown) throw error;
    console.error(error.message);
    return EXIT.unknown;
  }
}

/** Undefined if they ask for help. */
function readWish(words: readonly string[]) {
  const read = readWords(words, ["user", "request"]);
  if (!read) return undefined;
  const { rest: [stray], behind: command, engine, values } = read;
  if (stray !== undefined) {
    throw new UsageError(
      `explain ${stray}: give the whole command, as ` +
        "explain -- docker run -v data:/x busybox",
    );
  }
  if (values("request").includes("")) {
    throw new UsageError("--request needs a file, or -");
  }
  const file = oneOf("request", values("request"));
  if ((file === undefined) === (command.length === 0)) {
    throw new UsageError("explain what?");
  }
  const configs = values("config").map((config) => `--config=${config}`);
  return {
    command,
    file,
    user: oneOf("user", values("user")),
    options: [...configs, ...engine],
  };
}

type Judge = (request: AuthzRequest) => Promise<Verdict>;

/** Judges a request in a file, as the engine posts it to plugins. */
async function explainRequest(
  file: string,
  user: string | undefined,
  judge: Judge,
): Promise<number> {
  const request = await readRequest(file);
  const { outcome, text } = await judge({
    ...request,
    user: user ?? request.user,
  });
  if (outcome === "unknown") console.error(text);
  else console.log(text);
  return EXIT[outcome];
}

async function readRequest(file: string): Promise<AuthzRequest> {
  try {
    const text = file === "-"
      ? await new Response(Deno.stdin.readable).text()
      : await Deno.readTextFile(file);
    if (text.trim() === "") throw new WireError("it is empty");
    return readAuthzRequest(text);
  } catch (error) {
    const why = messageOf(error);
    throw new WireError(`${file} can't be read as an AuthZ request: ${why}`);
  }
}

/** A call that was judged. */
interface Judged {
  request: AuthzRequest;
  verdict: Verdict;
}

/** Whether buildx would build by this call, and not look for another way. */
function isBuildOpen({ request, verdict }: Judged): boolean {
  return verdict.outcome === "allowed" &&
    routeOf(request)?.endpoint.name === "build connection";
}

/** Runs a command with a socket in the place of the engine's. */
async function explainCommand(
  command: readonly string[],
  { user = "", engine, endpoint, judge }: {
    user?: string;
    engine: Engine;
    endpoint: EngineEndpoint;
    judge: Judge;
  },
): Promise<number> {
  const verdicts: Judged[] = [];
  {
    await using proxy = await serveProxy({
      endpoint,
      user,
      serverVersion: () => engine.serverVersion(),
      async answer(request) {
        // buildx goes on to pull a builder of its own, as it wouldn't.
        if (verdicts.some(isBuildOpen)) return NOTHING_DONE;
        const verdict = await judge(request);
        verdicts.push({ request, verdict });
        return verdict.answer;
      },
    });
    await runCommand(command, proxy.socket);
  }
  for (const { request: { method, uri }, verdict } of verdicts) {
    console.log(`${shown(method, 20)} ${shown(uri, 500)}: ${verdict.text}`);
  }
  const outcomes = new Set(verdicts.map(({ verdict }) => verdict.outcome));
  if (outcomes.has("refused")) return EXIT.refused;
  if (outcomes.has("unknown")) return EXIT.unknown;
  if (outcomes.has("allowed")) return EXIT.allowed;
  console.error(
    `can't tell: ${command[0]} asked for no change through DOCKER_HOST`,
  );
  return EXIT.unknown;
}

/** Of all programs that run others, this one may run `env`; see main.ts. */
async function runCommand(
  command: readonly string[],
  socket: string,
): Promise<void> {
  // Deno refuses to, if there is an LD_PRELOAD or the like.
  const child = new Deno.Command("env", {
    args: [
      // These would have a client look elsewhere, or speak TLS.
      ...["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"]
        .map((name) => `--unset=${name}`),
      ...["DOCKER_TLS", "BUILDX_BUILDER"].map((name) => `--unset=${name}`),
      `DOCKER_HOST=unix://${socket}`,
      ...command,
    ],
  }).spawn();
  // A ^C is the command's; what it asked for until then is told.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.addSignalListener("SIGTERM", () => child.kill());
  await child.status;
}

/**
 * What the engine answers to calls that compose and `docker stack` begin with:
 * without it they would end before any call that a policy guards.
 */
function madeUp(request: AuthzRequest): Record<string, unknown> | undefined {
  if (request.method !== "POST") return undefined;
  switch (parseTarget(request.uri).path) {
    case "/networks/create":
      return { Id: "0".repeat(64), Warning: "" };
    case "/volumes/create":
      return { Name: nameIn(request), Driver: "local", Mountpoint: "" };
  }
}

function nameIn({ body = "" }: AuthzRequest): string {
  try {
    const text = new TextDecoder().decode(Uint8Array.fromBase64(body));
    return String(JSON.parse(text).Name ?? "");
  } catch {
    return "";
  }
}

function createJudge(
  config: Config,
  engine: Engine,
  { host }: EngineEndpoint,
): Judge {
  const isExempt = exemptionCheck();
  const decide = createFirstLine({ config, engine, isExempt, log: SILENT });

  return async (request) => {
    const verdict = await judge(request);
    return { ...verdict, text: verdict.text + await whoseSettings(request) };
  };

  /** Which settings decided, if there are several. */
  async function whoseSettings({ user }: AuthzRequest): Promise<string> {
    if (config.forUsers === undefined) return "";
    try {
      const { name } = await settingsFor({ config, isExempt }, user);
      const whose = name === EVERYBODY ? "everybody's" : `[for.${name}]`;
      return ` (settings: ${whose})`;
    } catch (error) {
      if (error instanceof IdentityError) return ""; // The verdict says so.
      throw error;
    }
  }

  async function judge(request: AuthzRequest): Promise<Verdict> {
    const decision = await decide(request);
    if (!decision.allow) {
      const { rule, message } = decision;
      return {
        ...rule === "engine"
          ? unknown(message)
          : { outcome: "refused", text: `refused by ${rule}: ${message}` },
        answer: {
          status: 403,
          body: {
            message:
              `authorization denied by plugin docker-policy-plugin: ${message}`,
          },
        },
      };
    }
    try {
      return await missingImage(request) ?? allowed(request, decision.because);
    } catch (error) {
      const message = messageOf(error);
      return {
        ...unknown(message),
        answer: { status: 500, body: { message } },
      };
    }
  }

  function unknown(why: string): { outcome: "unknown"; text: string } {
    return { outcome: "unknown", text: `can't tell without ${host}: ${why}` };
  }

  function allowed(request: AuthzRequest, because?: string): Verdict {
    const text = because ? `allowed: ${because}` : "allowed";
    const body = madeUp(request);
    const answer = body ? { status: 201, body } : NOTHING_DONE;
    return { outcome: "allowed", text, answer };
  }

  /** So that the client pulls it, and the pull is judged too. */
  async function missingImage(
    request: AuthzRequest,
  ): Promise<Verdict | undefined> {
    const name = imageOfCreate(request);
    if (!name || await engine.inspectImage(name)) return undefined;
    const { sections } = await settingsFor(
      { config, isExempt },
      request.user,
    );
    const { volumes, privileges } = sections;
    const holds = async (policy: CommonKeys | undefined) =>
      policy?.enforce && !await isExempt(request.user, policy);
    const brings = [
      ...await holds(volumes) ? ["volumes"] : [],
      ...privileges?.require.includes("user") && await holds(privileges)
        ? ["a user of its own"]
        : [],
    ];
    return {
      ...brings.length > 0
        ? unknown(
          `the image ${shown(name)}, which can bring ${brings.join(" and ")}`,
        )
        : { outcome: "allowed", text: "allowed" },
      answer: { status: 404, body: { message: `No such image: ${name}` } },
    };
  }
}

function imageOfCreate(request: AuthzRequest): string | undefined {
  const route = routeOf(request);
  if (route?.endpoint.name !== "container create") return undefined;
  try {
    return new Call(request, route).body().string("Image");
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}
