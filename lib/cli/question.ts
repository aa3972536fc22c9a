/**
 * The words behind `explain`: those of the docker command line are turned into
 * the call that it would make.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import type { AuthzRequest } from "../call/authz.ts";
import {
  type ImageReference,
  InvalidReference,
  parseReference,
} from "../call/reference.ts";
import { shown } from "../text.ts";
import { UsageError } from "./args.ts";

/** What `explain` takes, for who mistyped. */
export const EXPLAIN_USAGE = "usage: docker-policy-plugin explain " +
  "[--user NAME] [--config FILE] [--host URL] " +
  "pull IMAGE | pull --all-tags IMAGE | push IMAGE | " +
  "run -- DOCKER-RUN-ARGUMENTS | create < BODY.json";

/** What `explain --help` prints. */
export const EXPLAIN_HELP = `${EXPLAIN_USAGE}

Says whether the settings would allow a call, and by which rule. "run" takes what
docker run takes; "create" reads the body of POST /containers/create from the
standard input. If the answer depends on an image or a container, the engine is
asked.

  --user NAME      who calls: the common name of a client certificate
  --config FILE, --host URL, --cert-path DIR, --tls-verify
                   as for the plugin itself

Exit status: 0 allowed, 1 refused, or nobody can tell; 2 usage.`;

/** What to explain, and with which settings. */
export interface Question {
  /** The call as the engine would show it. */
  request: AuthzRequest;
  /** Options that the plugin itself takes, in the form of its command line. */
  options: string[];
}

/** Options of the plugin's own that `explain` passes on. */
const PASSED_ON = ["config", "host", "cert-path"];

/**
 * Reads the words behind `explain`.
 *
 * @param words The words.
 * @param readBody Reads the body of `explain create`, from standard input.
 * @returns What to explain.
 * @throws {UsageError} If the words name no call that can be explained.
 * @throws {InvalidReference} If an image's name is none.
 */
export async function readQuestion(
  words: readonly string[],
  readBody: () => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Question> {
  const parsed = parseArgs([...words], {
    string: ["user", ...PASSED_ON, "_"],
    boolean: ["tls-verify", "all-tags"],
    "--": true,
    unknown: (arg: string) => {
      if (arg.startsWith("-")) throw new UsageError(`unknown option ${arg}`);
    },
  });
  const [verb, ...operands] = parsed._ as string[];
  const user: string = parsed.user ?? "";
  const options = PASSED_ON
    .filter((name) => parsed[name])
    .map((name) => `--${name}=${parsed[name]}`);
  if (parsed["tls-verify"]) options.push("--tls-verify");

  const one = (): string => {
    if (operands.length === 1) return operands[0];
    throw new UsageError(`${verb} takes one image`);
  };
  switch (verb) {
    case "pull":
      return { options, request: pull(user, one(), parsed["all-tags"]) };
    case "push":
      return { options, request: push(user, one(), parsed["all-tags"]) };
    case "run":
      return {
        options,
        request: run(user, [...operands, ...parsed["--"]]),
      };
    case "create":
      return { options, request: create(user, await readBody()) };
    default:
      throw new UsageError(
        verb === undefined ? "explain what?" : `can't explain ${verb}`,
      );
  }
}

/** The docker CLI adds the tag `latest` itself. */
function pull(user: string, image: string, allTags: boolean): AuthzRequest {
  const { tag, digest } = readImage(image);
  const query = new URLSearchParams({ fromImage: image });
  if (!allTags && tag === undefined && digest === undefined) {
    query.set("tag", "latest");
  }
  return post(user, `/images/create?${query}`);
}

function push(user: string, image: string, allTags: boolean): AuthzRequest {
  const { tag = "latest" } = readImage(image);
  const [name] = /^.*?(?=(:[^/:]*)?$)/.exec(image) ?? [image];
  return post(
    user,
    `/images/${name}/push${allTags ? "" : `?tag=${encodeURIComponent(tag)}`}`,
  );
}

function readImage(image: string): ImageReference {
  try {
    return parseReference(image);
  } catch (error) {
    if (!(error instanceof InvalidReference)) throw error;
    throw new InvalidReference(`${error.message}: "${shown(image)}"`);
  }
}

function create(
  user: string,
  body: Uint8Array<ArrayBuffer>,
  query = "",
): AuthzRequest {
  return {
    ...post(user, `/containers/create${query}`),
    headers: {
      "Content-Type": "application/json",
      "Content-Length": String(body.length),
    },
    ...(body.length > 0 && { body: body.toBase64() }),
  };
}

function post(user: string, uri: string): AuthzRequest {
  return { user, method: "POST", uri, headers: { "Content-Length": "0" } };
}

/** Options of `docker run` that take no value; all others take one. */
const RUN_SWITCHES = [
  ...["detach", "disable-content-trust", "help", "init", "interactive"],
  ...["no-healthcheck", "oom-kill-disable", "privileged", "publish-all"],
  ...["quiet", "read-only", "rm", "sig-proxy", "tty", "use-api-socket"],
];

/** Options of `docker run` with a value that a policy looks at. */
const RUN_TEXTS = ["volume", "mount", "volumes-from", "tmpfs", "platform"];

/** One-letter options of `docker run` that take a value, other than -v. */
const RUN_LETTERS = ["a", "c", "e", "h", "l", "m", "p", "u", "w"];

function run(user: string, words: string[]): AuthzRequest {
  const parsed = parseArgs(words, {
    boolean: RUN_SWITCHES,
    string: [...RUN_TEXTS, ...RUN_LETTERS],
    collect: ["volume", "mount", "volumes-from", "tmpfs"],
    alias: {
      ...{ volume: "v", detach: "d", interactive: "i", tty: "t" },
      ...{ "publish-all": "P", quiet: "q" },
    },
    stopEarly: true,
  });
  const [image] = parsed._.map(String) as string[];
  if (image === undefined) throw new UsageError("run takes an image");

  const volumes: string[] = parsed.volume ?? [];
  const body = {
    Image: image,
    Volumes: Object.fromEntries(
      volumes.filter((volume) => !volume.includes(":"))
        .map((path) => [path, {}]),
    ),
    HostConfig: {
      Binds: volumes.filter((volume) => volume.includes(":")).map(absolute),
      Mounts: (parsed.mount ?? []).map(readMountOption),
      VolumesFrom: parsed["volumes-from"] ?? [],
      Tmpfs: Object.fromEntries(
        (parsed.tmpfs ?? []).map((option: string) => {
          const [path, rest = ""] = option.split(/:(.*)/s);
          return [path, rest];
        }),
      ),
    },
  };
  return create(
    user,
    new TextEncoder().encode(JSON.stringify(body)),
    parsed.platform
      ? `?${new URLSearchParams({ platform: parsed.platform })}`
      : "",
  );
}

/** The docker CLI makes `./data:/x` absolute before it sends it. */
function absolute(bind: string): string {
  return bind.startsWith(".")
    ? `${Deno.cwd()}/${bind.slice(0, bind.indexOf(":"))}${
      bind.slice(bind.indexOf(":"))
    }`
    : bind;
}

/** `opts.MountOpt` of the docker CLI; without a type it is a volume. */
function readMountOption(option: string): Record<string, string> {
  const keys: Record<string, string> = {
    ...{ type: "Type", source: "Source", src: "Source" },
    ...{ target: "Target", dst: "Target", destination: "Target" },
  };
  const mount: Record<string, string> = { Type: "volume" };
  for (const field of option.split(",")) {
    const [name, value = ""] = field.split(/=(.*)/s);
    const key = keys[name.toLowerCase()];
    if (key) mount[key] = key === "Type" ? value.toLowerCase() : value;
  }
  return mount;
}
