import { assertEquals } from "@std/assert";
import { parsePlatform } from "../../../lib/call/platform.ts";

Deno.test("platform: forms that name system and architecture", () => {
  const linux = (architecture: string, variant?: string) => ({
    os: "linux",
    architecture,
    ...(variant !== undefined && { variant }),
  });
  for (
    const [text, platform] of [
      ["linux/amd64", linux("amd64")],
      ["Linux/AMD64", linux("amd64")],
      ["linux/x86_64", linux("amd64")],
      ["linux/x86-64", linux("amd64")],
      ["linux/amd64/v1", linux("amd64")],
      ["linux/arm64", linux("arm64")],
      ["linux/aarch64", linux("arm64")],
      ["linux/arm64/v8", linux("arm64")],
      ["linux/arm", linux("arm", "v7")],
      ["linux/arm/v6", linux("arm", "v6")],
      ["linux/arm/v7", linux("arm", "v7")],
      ["linux/i386", linux("386")],
      ["linux/s390x", linux("s390x")],
      ["linux/ppc64le", linux("ppc64le")],
    ] as const
  ) {
    assertEquals(parsePlatform(text), platform, text);
  }
});

Deno.test("platform: any other form is unclear", () => {
  for (
    const text of [
      "",
      "linux",
      "amd64",
      "arm64",
      "linux/",
      "/amd64",
      "linux//v8",
      "linux/arm64/v9",
      "linux/amd64/v3",
      "linux/arm64/v8/x",
      "linux/arm 64",
      "linux/*",
      "windows/amd64",
      "windows(10.0.17763)/amd64",
      "linux(+x)/amd64",
      "darwin/arm64",
      "linux/amd64 ",
    ]
  ) {
    assertEquals(parsePlatform(text), undefined, text);
  }
});
