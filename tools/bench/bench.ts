/**
 * What a run of the bench has in common.
 *
 * @module
 */
import {
  type Floor,
  floor,
  plugin,
  type Program,
  Server,
  type SocketKind,
  STUB,
} from "./servers.ts";
import type { Row } from "./table.ts";

/** What is wanted of a run. */
export interface BenchOptions {
  /** A pattern for the names of the rows that are wanted. */
  only: string;
  /** Another checkout, to be measured against in place of the floor. */
  against?: string;
  /** The kinds of sockets that can be had here. */
  kinds: readonly SocketKind[];
}

/** The settings that most rows are measured with: the volume policy, which is on without any. */
const SETTINGS = "[volumes]\n";

/** A run of the bench: what is wanted of it, and what came of it so far. */
export class Bench {
  readonly rows: Row[] = [];
  readonly kinds: readonly SocketKind[];
  /** The version of the engine that was measured with. */
  engine?: string;
  readonly #dir: string;
  readonly #only: RegExp;
  readonly #against?: string;

  /**
   * @param dir A directory of its own, for sockets and settings.
   * @param options What is wanted.
   */
  constructor(dir: string, { only, against, kinds }: BenchOptions) {
    this.kinds = kinds;
    this.#dir = dir;
    this.#only = new RegExp(only);
    this.#against = against;
  }

  /** @returns Whether a row of this name is to be measured. */
  wants(what: string): boolean {
    return this.#only.test(what);
  }

  /** Adds a row to the table. */
  add(row: Row): void {
    this.rows.push(row);
  }

  /** Says on standard error what is going on. */
  progress(what: string): void {
    console.error(`bench: ${what}`);
  }

  /** @returns Where a socket of this name is. */
  socket(name: string): string {
    return `${this.#dir}/${name.replaceAll(" ", "-")}.sock`;
  }

  /** Starts what stands in for the engine. */
  startStub(): Server {
    const stub = Server.start(STUB, "own", this.socket("stub"));
    stub.waitUntilListening();
    return stub;
  }

  /** @returns The plugin with these settings, in front of the stub. */
  plugin(settings = SETTINGS): Program {
    return plugin(this.#options(settings));
  }

  /** @returns What the plugin is measured against. */
  floor(how: Floor): Program {
    return this.#against === undefined
      ? floor(how)
      : plugin({ ...this.#options(SETTINGS), root: this.#against });
  }

  /** @returns The floor's name for the table. */
  floorName(how: Floor): string {
    if (this.#against !== undefined) return this.#against;
    return how === "unread" ? "floor" : "floor that reads";
  }

  #options(settings: string): { host: string; config: string } {
    const config = `${this.#dir}/settings-${settings.length}.toml`;
    Deno.writeTextFileSync(config, settings);
    return { host: `unix://${this.socket("stub")}`, config };
  }
}
