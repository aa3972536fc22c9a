/**
 * What stands between the plugin and its engine, so that a test can listen,
 * hold up, and cut off. It carries bytes and knows of HTTP only what a
 * request's first line says.
 */

import { sleep } from "../../../helpers/programs.ts";

/** What becomes of the stream of events. */
export type EventsMode =
  /** It is carried. */
  | "pass"
  /** What the engine sends from now on is lost, and nobody is told. */
  | "drop"
  /** The engine gets nothing taken off its hands. */
  | "stall"
  /** Whoever asks for it is cut off. */
  | "refuse";

/** A socket that leads to an engine. */
export class Door implements AsyncDisposable {
  /** For the plugin, as `unix:///path`. */
  readonly host: string;
  /** The first lines of the requests that came through. */
  readonly asked: string[] = [];
  /**
   * How many connections there were. docker.socket starts an engine that is
   * stopped for each.
   */
  connections = 0;
  /**
   * Something that is done when the engine has answered a question, before the
   * plugin reads the answer.
   */
  meanwhile: { question: RegExp; work: () => Promise<void> } | undefined;
  events: EventsMode = "pass";

  #listener: Deno.Listener;
  #engine: string;
  #streams = new Set<() => void>();

  /**
   * @param path Of its socket.
   * @param engine The path of the engine's.
   */
  constructor(path: string, engine: string) {
    this.host = `unix://${path}`;
    this.#engine = engine;
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#serve();
  }

  /** How many streams of events are open. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Cuts off the streams of events that are open. */
  cutEvents(): void {
    for (const cut of this.#streams) cut();
  }

  // deno-lint-ignore require-await -- the interface's
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cutEvents();
  }

  async #serve(): Promise<void> {
    for await (const plugin of this.#listener) {
      this.connections++;
      this.#carry(plugin).catch(() => {});
    }
  }

  async #carry(plugin: Deno.Conn): Promise<void> {
    const engine = await Deno.connect({
      transport: "unix",
      path: this.#engine,
    }).catch(() => undefined);
    if (!engine) return plugin.close();
    let isStream = false;
    let wait: (() => Promise<void>) | undefined;
    const close = () => {
      this.#streams.delete(close);
      for (const each of [plugin, engine]) {
        try {
          each.close();
        } catch {
          // It is closed already.
        }
      }
    };
    const toEngine = async () => {
      for await (const bytes of chunks(plugin)) {
        for (
          const line of new TextDecoder("latin1").decode(bytes).matchAll(
            /^(?:GET|POST|PUT|DELETE|HEAD) \S+(?= HTTP\/1)/gm,
          )
        ) {
          this.asked.push(line[0]);
          if (/\/events(\?|$)/.test(line[0])) {
            if (this.events === "refuse") return close();
            isStream = true;
            this.#streams.add(close);
          } else if (this.meanwhile?.question.test(line[0])) {
            wait = this.meanwhile.work;
          }
        }
        await write(engine, bytes);
      }
      close();
    };
    const toPlugin = async () => {
      for await (const bytes of chunks(engine)) {
        await wait?.();
        wait = undefined;
        while (isStream && this.events === "stall") await sleep(50);
        // The answer's head is none of the events.
        if (
          isStream && this.events === "drop" &&
          !new TextDecoder("latin1").decode(bytes).startsWith("HTTP/1.1")
        ) continue;
        await write(plugin, bytes);
      }
      close();
    };
    await Promise.all([toEngine().catch(close), toPlugin().catch(close)]);
  }
}

async function* chunks(connection: Deno.Conn): AsyncGenerator<Uint8Array> {
  for (;;) {
    const buffer = new Uint8Array(65_536);
    const count = await connection.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}
