import { type Config, ConfigError } from "./config.ts";

/** The settings in force, which can be read again while calls are judged. */
export class Settings {
  readonly #load: () => Promise<Config>;
  #config: Config;
  #generation = 1;
  #problem?: string;

  private constructor(load: () => Promise<Config>, config: Config) {
    this.#load = load;
    this.#config = config;
  }

  /**
   * @param load Reads the settings.
   * @returns The settings, read for the first time.
   * @throws {ConfigError} where they can't be followed.
   */
  static async open(load: () => Promise<Config>): Promise<Settings> {
    return new Settings(load, await load());
  }

  /** The settings for the next call. */
  get config(): Config {
    return this.#config;
  }

  /** How often settings were taken over, the start included. */
  get generation(): number {
    return this.#generation;
  }

  /** Why the last attempt to read them failed; undefined where it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Reads the settings again. Good ones are in force from the next call on; bad
   * ones change nothing but {@link Settings.problem}.
   */
  async reload(): Promise<void> {
    try {
      this.#config = await this.#load();
      this.#generation++;
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#problem = error.message;
    }
  }
}
