import { assertEquals } from "@std/assert";
import type { Mount } from "../../../../lib/call/mount.ts";
import type { MountPoint } from "../../../../lib/engine/facts.ts";
import {
  bindSources,
  checkBuild,
  checkContainer,
  checkImagePlatform,
  checkLinks,
  checkMounts,
  checkStorage,
  denyVolume,
  splitBind,
  type Storage,
} from "../../../../lib/policy/rules/volumes.ts";

/** What a create request asks for, beside nothing. */
function storage(more: Partial<Storage>): Storage {
  return { binds: [], mounts: [], volumesFrom: [], tmpfs: [], ...more };
}

function mount(type: string, source = ""): Mount {
  return { type, source, target: "/x" };
}

const no = (what: string) => `volumes are not allowed: ${what}`;

Deno.test("storage: bind mounts and tmpfs pass, each volume is refused", () => {
  for (
    const [asked, rule, what] of [
      [{}],
      [{ binds: ["/host:/x", "/:/y:ro"], tmpfs: ["/t"] }],
      [{ mounts: [mount("bind", "/h"), mount("tmpfs"), mount("image", "i")] }],
      [{ binds: ["/h:/h", "data:/x"] }, "named", 'named volume "data"'],
      [{ binds: ["/x"] }, "anonymous", "anonymous volume at /x"],
      [
        { mounts: [mount("tmpfs"), mount("volume", "data")] },
        "named",
        'named volume "data"',
      ],
      [{ mounts: [mount("volume")] }, "anonymous", "anonymous volume at /x"],
      [
        { mounts: [mount("npipe")] },
        "mount-type",
        "mount of type npipe at /x",
      ],
      [{ mounts: [mount("")] }, "mount-type", 'mount of type "" at /x'],
      [{ volumesFrom: ["web", "db"] }, "volumes-from", "--volumes-from web"],
      // The first of several.
      [
        { binds: ["data:/x"], mounts: [mount("npipe")], volumesFrom: ["w"] },
        "named",
        'named volume "data"',
      ],
    ] as [Partial<Storage>, string?, string?][]
  ) {
    const denied = checkStorage(storage(asked));
    assertEquals(
      [denied?.rule, denied?.message],
      rule && what ? [`volumes/${rule}`, no(what)] : [undefined, undefined],
      JSON.stringify(asked),
    );
  }
  assertEquals(checkMounts([]), undefined);
});

Deno.test("storage: the host paths of bind mounts", () => {
  assertEquals(
    bindSources(storage({
      binds: ["/a:/x", "/b:/y:ro"],
      mounts: [mount("bind", "/c"), mount("tmpfs", "/d"), mount("image", "e")],
    })),
    [
      { source: "/a", readOnly: false },
      { source: "/b", readOnly: true },
      { source: "/c", readOnly: false },
    ],
  );
});

Deno.test("storage: the parts of a bind", () => {
  for (
    const [bind, source, target, readOnly = false] of [
      ["/h:/x", "/h", "/x"],
      ["/h:/x:ro,z", "/h", "/x", true],
      ["/h:/x:z,ro", "/h", "/x", true],
      ["/h:/x:rw", "/h", "/x"],
      ["/x", "", "/x"],
      [":/x", "", "/x"],
      ["", "", ""],
    ] as const
  ) {
    assertEquals(splitBind(bind), { source, target, readOnly }, bind);
  }
});

Deno.test("storage: what a container has", () => {
  const has = (type: string, name = ""): MountPoint => ({
    type,
    name,
    source: "/s",
    destination: "/x",
  });
  for (
    const [mounts, what] of [
      [[]],
      [[has("bind"), has("tmpfs"), has("image")]],
      [[has("bind"), has("volume", "data")], 'volume "data"'],
      [[has("volume")], "an anonymous volume"],
      [[has("volume", "ab".repeat(32))], "an anonymous volume"],
      [[has("volume", "AB".repeat(32))], `volume "${"AB".repeat(32)}"`],
      [[has("cluster")], "a mount of type cluster"],
    ] as [MountPoint[], string?][]
  ) {
    assertEquals(
      checkContainer("web", mounts)?.message,
      what && no(`container web has ${what} at /x`),
    );
  }
});

Deno.test("storage: each part of an image's platform has an end", () => {
  const platform = { os: "linux", architecture: "arm64", variant: "v8" };
  const none = { os: "", architecture: "", variant: "" };
  assertEquals(checkImagePlatform("b:1", platform), undefined);
  assertEquals(checkImagePlatform("b:1", none), undefined);
  for (const part of ["os", "architecture", "variant"]) {
    const long = (length: number) =>
      checkImagePlatform("b:1", { ...platform, [part]: "x".repeat(length) });
    assertEquals(long(100), undefined, part);
    assertEquals(long(101), {
      allow: false,
      rule: "volumes/image-platform",
      message: `image b:1 is not allowed: its ${part} has 101 characters, ` +
        "more than 100",
    });
  }
});

Deno.test("storage: a build", () => {
  assertEquals(checkBuild(true), undefined);
  assertEquals(checkBuild(false)?.rule, "volumes/classic-build");
});

Deno.test("storage: what a message shows is printable, and not long", () => {
  const name = `\n\u001b${"x".repeat(5000)}`;
  for (
    const denied of [
      denyVolume(name, "/x"),
      denyVolume("", name),
      checkStorage(storage({ volumesFrom: [name] })),
      checkMounts([mount(name)]),
      checkContainer(name, [
        { type: "volume", name: "v", source: "", destination: "/x" },
      ]),
    ]
  ) {
    const message = denied?.message ?? "";
    assertEquals(message.includes("\\u000a\\u001bxx"), true, message);
    assertEquals(message.length < 400, true, message);
  }
});

Deno.test("volumes: links may not make another's entry in the list too long", () => {
  assertEquals(checkLinks(["web:db", "web:" + "a".repeat(508)]), undefined);
  const denial = checkLinks(["web:db", "web:" + "a".repeat(1_000_000)]);
  assertEquals(denial?.rule, "volumes/link");
  assertEquals(denial!.message.length < 150, true, denial!.message);
});
