/** BuildKit of an engine by gRPC over HTTP/2 from the first byte, as no authorization plugin sees it. */

import { connect, type SecureClientSessionOptions } from "node:http2";
import { connect as connectUnix } from "node:net";
import type { Buffer } from "node:buffer";
import { join } from "../raw_http.ts";

/** Where BuildKit is reached: a unix socket, or a TCP address behind TLS. */
export type BuildKit = string | {
  url: string;
  tls: SecureClientSessionOptions;
};

/**
 * Does a call of gRPC.
 *
 * @param to where
 * @param method of BuildKit's service `Control`
 * @param message its argument
 * @returns the answer's message
 * @throws Error if it gets no answer of gRPC that says 0, "OK"
 */
export async function call(
  to: BuildKit,
  method: string,
  message: Uint8Array,
): Promise<Uint8Array> {
  const session = typeof to === "string"
    ? connect("http://localhost", { createConnection: () => connectUnix(to) })
    : connect(to.url, to.tls);
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const timer = setTimeout(() => reject(new Error("no answer")), 30_000);
  const hungUp = () => reject(new Error("the connection was closed"));
  session.on("error", reject).on("close", hungUp);
  const request = session.request({
    ":method": "POST",
    ":path": `/moby.buildkit.v1.Control/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const pieces: Uint8Array[] = [];
  let said: unknown = "nothing";
  request.on("response", (headers) => said = headers["grpc-status"] ?? said);
  request.on(
    "trailers",
    (headers) =>
      said = [headers["grpc-status"], headers["grpc-message"]]
        .filter((each) => each).join(" "),
  );
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("error", reject);
  request.on("end", () => {
    if (said === "0") resolve(join(pieces).subarray(5));
    else reject(new Error(`gRPC says ${said}`));
  });
  // Not compressed, and its length.
  const head = new Uint8Array(5);
  new DataView(head.buffer).setUint32(1, message.length);
  request.end(join([head, message]));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}

/** What a field of a protocol buffer holds: of several fields the last counts, or all where they are repeated. */
type Value = number | string | Uint8Array | Fields | Fields[] | Uint8Array[];

/** A protocol buffer, by the numbers of its fields. */
interface Fields {
  [number: number]: Value;
}

/** A protocol buffer's bytes. */
export function encode(fields: Fields): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, value] of Object.entries(fields)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each === "number") {
        parts.push(varint(Number(number) << 3), varint(each));
        continue;
      }
      const bytes = typeof each === "string"
        ? new TextEncoder().encode(each)
        : each instanceof Uint8Array
        ? each
        : encode(each);
      parts.push(varint(Number(number) << 3 | 2), varint(bytes.length), bytes);
    }
  }
  return join(parts);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.of(...bytes, Number(rest));
}

/**
 * What builds an image with one empty folder: the argument of `Solve`.
 *
 * @param name the image's
 */
export async function buildOf(name: string): Promise<Uint8Array> {
  // moby's vendor/github.com/moby/buildkit/solver/pb/ops.proto
  const mkdir = { 1: "/made", 2: 0o755 };
  const nothing = -1;
  const action = { 1: nothing, 2: nothing, 3: 0, 6: mkdir };
  const platform = {
    1: Deno.build.arch === "x86_64" ? "amd64" : "arm64",
    2: "linux",
  };
  const op = encode({ 4: { 2: [action] }, 10: platform });
  const digest = new Uint8Array(
    await crypto.subtle.digest("SHA-256", op as Uint8Array<ArrayBuffer>),
  );
  const hex = digest.toHex();
  const end = encode({ 1: [{ 1: `sha256:${hex}`, 2: 0 }] });
  // …/buildkit/api/services/control/control.proto
  return encode({
    1: `build-${crypto.randomUUID()}`,
    2: { 1: [op, end] },
    3: "moby",
    4: [{ 1: "name", 2: name }],
  });
}
