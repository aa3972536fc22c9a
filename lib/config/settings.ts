import type { Config } from "./config.ts";
import { ConfigError } from "./document.ts";

/** The settings in force, which can be read again while calls are checked. */
export class Settings {
  readonly #load: () => Config;
  #config: Config;
  #generation = 1;
  #problem?: string;

  private constructor(load: () => Config, config: Config) {
    this.#load = load;
    this.#config = config;
  }

  /**
   * @param load Reads the settings.
   * @returns The settings, read for the first time.
   * @throws {ConfigError} If they can't be followed.
   */
  static open(load: () => Config): Settings {
    return new Settings(load, load());
  }

  /** The settings for the next call. */
  get config(): Config {
    return this.#config;
  }

  /** How often settings were taken over, the start included. */
  get generation(): number {
    return this.#generation;
  }

  /** Why the last attempt to read them failed; undefined if it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Reads the settings again. Good ones are in force from the next call on; bad
   * ones change nothing but {@link Settings.problem}.
   */
  reload(): void {
    try {
      this.#config = this.#load();
      this.#generation++;
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#problem = error.message;
    }
  }
}
