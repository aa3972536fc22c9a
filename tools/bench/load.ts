/**
 * The load: a number of connections, on each of which one call follows the other.
 *
 * @module
 */
import { POLLIN, POLLOUT, PollSet, UnixSocket } from "./libc.ts";

/** A request, and what its answer must hold. */
export interface Call {
  bytes: Uint8Array<ArrayBuffer>;
  /** A part of the right answer: times of wrong ones are of no use. */
  expect: string;
}

/** How long a server may be silent, in milliseconds. */
const PATIENCE = 30_000;

/** One connection and what is under way on it. */
interface Lane {
  /** Which of the calls it is at. */
  step: number;
  /** What of that call is still to be sent. */
  unsent: Uint8Array<ArrayBuffer>;
  answer: string;
  started: number;
  resting: boolean;
}

/** Connections to a server. */
export class Load {
  readonly #sockets: UnixSocket[];
  readonly #poll: PollSet;
  readonly #buffer = new Uint8Array(256 * 1024);
  readonly #latin1 = new TextDecoder("latin1");

  /**
   * @param path The server's socket file.
   * @param connections How many connections to open.
   */
  constructor(path: string, connections: number) {
    this.#sockets = Array.from({ length: connections }, () => {
      const socket = UnixSocket.connect(path);
      if (!socket) throw new Error(`nobody listens on ${path}`);
      return socket;
    });
    this.#poll = new PollSet(this.#sockets);
  }

  /**
   * Puts load on the server, and blocks everything else.
   *
   * @param calls What is sent, in this order; all of them together are timed as one.
   * @param until How long, in milliseconds, or how often; each connection sends them once at least.
   * @returns How long each took, in microseconds.
   * @throws Error where an answer is not the expected one.
   */
  run(
    calls: readonly Call[],
    until: { milliseconds: number } | { count: number },
  ): number[] {
    const times: number[] = [];
    const end = "milliseconds" in until
      ? performance.now() + until.milliseconds
      : Infinity;
    let left = "count" in until ? until.count : Infinity;
    const lanes = this.#sockets.map((): Lane => ({
      step: 0,
      unsent: calls[0].bytes,
      answer: "",
      started: 0,
      resting: false,
    }));
    let busy = lanes.length;

    const begin = (at: number) => {
      left--;
      const lane = lanes[at];
      lane.step = 0;
      lane.unsent = calls[0].bytes;
      lane.started = performance.now();
      this.#send(at, lane);
    };
    const answered = (at: number) => {
      const lane = lanes[at];
      if (!lane.answer.includes(calls[lane.step].expect)) {
        throw new Error(`unexpected answer: ${lane.answer.slice(0, 1000)}`);
      }
      lane.answer = "";
      if (++lane.step < calls.length) {
        lane.unsent = calls[lane.step].bytes;
        this.#send(at, lane);
        return;
      }
      const now = performance.now();
      times.push((now - lane.started) * 1000);
      if (now < end && left > 0) return begin(at);
      lane.resting = true;
      this.#poll.want(at, 0);
      busy--;
    };

    for (let at = 0; at < lanes.length; at++) begin(at);
    while (busy > 0) {
      this.#poll.wait(PATIENCE);
      for (let at = 0; at < lanes.length; at++) {
        const lane = lanes[at];
        if (lane.resting || !this.#poll.isReady(at)) continue;
        if (lane.unsent.length > 0) this.#send(at, lane);
        else if (this.#receive(at, lane)) answered(at);
      }
    }
    return times;
  }

  /** Closes the connections. */
  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  #send(at: number, lane: Lane): void {
    const count = this.#sockets[at].send(lane.unsent);
    lane.unsent = lane.unsent.subarray(count);
    this.#poll.want(at, lane.unsent.length > 0 ? POLLOUT : POLLIN);
  }

  /** @returns Whether the answer is whole. */
  #receive(at: number, lane: Lane): boolean {
    const count = this.#sockets[at].receive(this.#buffer);
    lane.answer += this.#latin1.decode(this.#buffer.subarray(0, count));
    return isWhole(lane.answer);
  }
}

/** Whether an HTTP answer is there to its end; what is sent in one go is read in one go. */
function isWhole(answer: string): boolean {
  const head = answer.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(
    answer.slice(0, head),
  ) ?? [];
  if (length !== undefined) return answer.length >= head + 4 + Number(length);
  return answer.startsWith("HTTP/1.1 204") ||
    answer.endsWith("\r\n0\r\n\r\n");
}
