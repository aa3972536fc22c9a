import { assertEquals, assertRejects } from "@std/assert";
import { parseConfig } from "../../../lib/config/load.ts";
import {
  exemptionCheck,
  exemptSections,
  IdentityError,
  settingsFor,
} from "../../../lib/verdict/exemptions.ts";
import { call } from "./host.ts";

const NOBODY = { allowUser: [], allowGroup: [] };
const STORAGE = { allowUser: ["dwalsh"], allowGroup: ["storage", "root"] };

const GROUPS: Record<string, string[]> = {
  alice: ["users", "storage"],
  bob: ["users"],
  carol: ["domain users", "storage admins"],
};

/** A check, the users that were looked up for it, and a clock to set. */
function fake() {
  const asked: string[] = [];
  const clock = { now: 1_000_000 };
  const isExempt = exemptionCheck(
    (user) => {
      asked.push(user);
      return Promise.resolve(GROUPS[user] ?? []);
    },
    () => clock.now,
  );
  return { isExempt, asked, clock };
}

Deno.test("identity: by name or by group", async () => {
  const { isExempt } = fake();
  for (
    const [user, exempt] of [
      ["dwalsh", true],
      ["alice", true],
      ["bob", false],
      ["carol", false],
      ["mallory", false],
      ["Dwalsh", false],
      ["dwalsh ", false],
      ["storage", false],
      ["", false],
    ] as const
  ) {
    assertEquals(await isExempt(user, STORAGE), exempt, user);
  }
  assertEquals(
    await isExempt("carol", { allowUser: [], allowGroup: ["domain users"] }),
    true,
  );
  assertEquals(await isExempt("alice", NOBODY), false);
});

Deno.test("identity: nobody is behind an empty name", async () => {
  const { isExempt, asked } = fake();
  assertEquals(
    await isExempt("", { allowUser: [""], allowGroup: ["", "root"] }),
    false,
  );
  assertEquals(asked, []);
});

Deno.test("identity: groups are looked up only where they count", async () => {
  const { isExempt, asked } = fake();
  await isExempt("dwalsh", STORAGE);
  await isExempt("alice", { allowUser: ["bob"], allowGroup: [] });
  assertEquals(asked, []);
});

Deno.test("identity: a name that `id` takes for something else is nobody", async () => {
  const { isExempt, asked } = fake();
  for (
    const user of [
      "0",
      "1000",
      "-",
      "-u",
      "--help",
      "+0",
      " 0",
      "\t0",
      "\u000b0",
      "\u00a00",
      "a\nb",
      "root\u0000",
    ]
  ) {
    assertEquals(await isExempt(user, STORAGE), false, JSON.stringify(user));
  }
  assertEquals(asked, []);
  // Named as they are, they are exempt: that asks nobody.
  assertEquals(
    await isExempt("1000", { allowUser: ["1000"], allowGroup: [] }),
    true,
  );
});

Deno.test("identity: names with digits and dashes inside are looked up", async () => {
  const { isExempt, asked } = fake();
  const names = ["r2d2", "0day", "web-1", "a.b@EXAMPLE.ORG", "DOM\\x", "a b"];
  for (const name of names) await isExempt(name, STORAGE);
  assertEquals(asked, names);
});

Deno.test("identity: groups are remembered for a minute", async () => {
  const { isExempt, asked, clock } = fake();
  await Promise.all([
    isExempt("alice", STORAGE),
    isExempt("alice", STORAGE),
  ]);
  clock.now += 59_999;
  assertEquals(await isExempt("alice", STORAGE), true);
  assertEquals(asked, ["alice"]);
  clock.now += 1;
  GROUPS.alice = ["users"];
  try {
    assertEquals(await isExempt("alice", STORAGE), false);
  } finally {
    GROUPS.alice = ["users", "storage"];
  }
  assertEquals(asked, ["alice", "alice"]);
});

Deno.test("identity: the memory does not grow without end", async () => {
  const { isExempt, asked } = fake();
  await isExempt("alice", STORAGE);
  for (let i = 0; i < 1000; i++) await isExempt(`user${i}`, STORAGE);
  await isExempt("alice", STORAGE);
  assertEquals(asked.filter((user) => user === "alice").length, 2);
});

Deno.test("identity: a failed look-up is thrown, and not remembered", async () => {
  let works = false;
  const isExempt = exemptionCheck(() =>
    works ? Promise.resolve(["storage"]) : Promise.reject(new Error("no id"))
  );
  await assertRejects(() => isExempt("alice", STORAGE), Error, "no id");
  works = true;
  assertEquals(await isExempt("alice", STORAGE), true);
});

Deno.test("identity: the host's groups, through id", async () => {
  const isExempt = exemptionCheck();
  const rootGroup = { allowUser: [], allowGroup: ["root"] };
  assertEquals(await isExempt("root", rootGroup), true);
  assertEquals(await isExempt("no-such-user-here", rootGroup), false);
  assertEquals(await isExempt("0", rootGroup), false);
  assertEquals(
    await isExempt("root", { allowUser: [], allowGroup: ["no-such-group"] }),
    false,
  );
});

const FOR_USERS = parseConfig(
  "x.toml",
  `
[volumes]
allow-user = ["dwalsh"]
[for.interns]
user = ["bob"]
[for.interns.volumes]
allow-bind = []
[for.storage]
user = ["dwalsh", "bob"]
group = ["storage"]
[for.storage.volumes]
allow-bind = ["/srv/"]
[for.all]
group = ["users", "storage"]
`,
);

Deno.test("settings: the first that names a user or a group decides", async () => {
  const { isExempt } = fake();
  for (
    const [user, name, allowBind] of [
      ["dwalsh", "storage", ["/srv/"]],
      ["alice", "storage", ["/srv/"]],
      ["bob", "interns", []],
      ["carol", "", undefined],
      ["mallory", "", undefined],
      ["storage", "", undefined],
      // Nobody is behind an empty name.
      ["", "", undefined],
    ] as const
  ) {
    const found = await settingsFor({ config: FOR_USERS, isExempt }, user);
    assertEquals(
      [found.name, found.sections.volumes?.allowBind],
      [name, allowBind],
      user,
    );
  }
});

Deno.test("settings: who is exempt stays so", async () => {
  const { isExempt } = fake();
  const options = { config: FOR_USERS, isExempt };
  const [, route] = call("POST /containers/create", {});
  for (const [user, expected] of [["dwalsh", ["volumes"]], ["bob", []]]) {
    const { sections } = await settingsFor(options, user as string);
    assertEquals(
      await exemptSections(sections, isExempt, user as string, route),
      expected,
    );
  }
});

Deno.test("settings: groups are looked up only if no user decides before", async () => {
  const { isExempt, asked } = fake();
  await settingsFor({ config: FOR_USERS, isExempt }, "bob");
  assertEquals(asked, []);
  const slow = exemptionCheck(() => Promise.reject(new IdentityError("slow")));
  const options = { config: FOR_USERS, isExempt: slow };
  assertEquals((await settingsFor(options, "bob")).name, "interns");
  await assertRejects(() => settingsFor(options, "carol"), IdentityError);
});
