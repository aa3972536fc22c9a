/** A platform of an image, as the OCI image specification names its parts. */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

/**
 * Other names of architectures, as containerd's `platforms` normalizes them.
 */
const ARCHITECTURES: Record<string, string> = {
  "x86_64": "amd64",
  "x86-64": "amd64",
  "aarch64": "arm64",
  "i386": "386",
};

/**
 * The variant that is meant if none is named. A platform is written without.
 */
const DEFAULT_VARIANTS: Record<string, string> = { arm64: "v8", amd64: "v1" };

/**
 * Reads a platform as containerd's `platforms.Parse` does, in the forms that
 * name both system and architecture.
 *
 * @param text Such as `linux/arm64` or `linux/arm/v7`.
 * @returns The platform, or undefined if its meaning depends on the host.
 */
export function parsePlatform(text: string): Platform | undefined {
  const [os, name, variant, ...rest] = text.toLowerCase().split("/");
  if (os !== "linux" || !/^[a-z0-9_-]+$/.test(name ?? "") || rest.length > 0) {
    return undefined;
  }
  const architecture = ARCHITECTURES[name] ?? name;
  if (architecture === "arm") {
    return { os, architecture, variant: variant ?? "v7" };
  }
  return variant === undefined || variant === DEFAULT_VARIANTS[architecture]
    ? { os, architecture }
    : undefined;
}
