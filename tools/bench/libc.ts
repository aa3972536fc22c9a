/**
 * Unix sockets by way of the C library, called synchronously.
 *
 * A call through Deno's own sockets costs the one who measures more than it costs the server that is measured; one
 * through the C library costs half a microsecond.
 *
 * @module
 */
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;

/** For {@link poll}: there is something to receive, or to be sent. */
export const POLLIN = 1;
export const POLLOUT = 4;

const { symbols: libc } = Deno.dlopen(
  Deno.build.os === "linux" ? "libc.so.6" : "libc.dylib",
  {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    // Their results are longer, but no count here is.
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
    recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
    usleep: { parameters: ["u32"], result: "i32" },
    __errno_location: { parameters: [], result: "pointer" },
  },
);

function errno(): number {
  const at = libc.__errno_location();
  return at === null ? 0 : new Deno.UnsafePointerView(at).getInt32();
}

/** A connected socket. */
export class UnixSocket {
  private constructor(readonly fd: number) {}

  /**
   * @param path The socket file.
   * @returns The connection, or undefined where nobody listens there.
   */
  static connect(path: string): UnixSocket | undefined {
    const name = new TextEncoder().encode(path);
    const address = new Uint8Array(2 + name.length + 1);
    new DataView(address.buffer).setUint16(0, AF_UNIX, true);
    address.set(name, 2);
    const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (libc.connect(fd, address, address.length) === 0) {
      return new UnixSocket(fd);
    }
    libc.close(fd);
  }

  /**
   * Sends what fits now.
   *
   * @param bytes What is to be sent.
   * @returns How many of them went out.
   * @throws Error where the other side is gone.
   */
  send(bytes: Uint8Array<ArrayBuffer>): number {
    return this.#count(
      "send",
      libc.send(
        this.fd,
        bytes,
        BigInt(bytes.length),
        MSG_DONTWAIT | MSG_NOSIGNAL,
      ),
    );
  }

  /**
   * Receives what is there.
   *
   * @param into Where to.
   * @returns How many bytes came.
   * @throws Error where the other side has closed the connection.
   */
  receive(into: Uint8Array<ArrayBuffer>): number {
    const count = libc.recv(this.fd, into, BigInt(into.length), MSG_DONTWAIT);
    if (count === 0) throw new Error("the server closed a connection");
    return this.#count("recv", count);
  }

  /** Closes it. */
  close(): void {
    libc.close(this.fd);
  }

  #count(what: string, count: number): number {
    if (count >= 0) return count;
    const error = errno();
    if (error === EAGAIN) return 0;
    throw new Error(`${what} failed with errno ${error}`);
  }
}

/** Sockets that are waited for together. */
export class PollSet {
  readonly #view: DataView<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #count: bigint;

  /** @param sockets The sockets, known from here on by their places. */
  constructor(readonly sockets: readonly UnixSocket[]) {
    this.#bytes = new Uint8Array(8 * sockets.length);
    this.#view = new DataView(this.#bytes.buffer);
    this.#count = BigInt(sockets.length);
    for (const [at, { fd }] of sockets.entries()) {
      this.#view.setInt32(8 * at, fd, true);
    }
  }

  /**
   * @param at A socket's place.
   * @param events What to wait for: {@link POLLIN}, {@link POLLOUT}, none.
   */
  want(at: number, events: number): void {
    this.#view.setInt16(8 * at + 4, events, true);
  }

  /**
   * Waits for one of the sockets.
   *
   * @param milliseconds How long at most.
   * @throws Error where nothing came of it.
   */
  wait(milliseconds: number): void {
    if (libc.poll(this.#bytes, this.#count, milliseconds) > 0) return;
    throw new Error(`no answer within ${milliseconds} ms`);
  }

  /**
   * @param at A socket's place.
   * @returns Whether something can be done with it.
   */
  isReady(at: number): boolean {
    return this.#view.getInt16(8 * at + 6, true) !== 0;
  }
}

/** Sleeps, and blocks everything else. */
export function sleepSync(milliseconds: number): void {
  libc.usleep(milliseconds * 1000);
}
