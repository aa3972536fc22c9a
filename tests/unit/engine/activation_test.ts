import { assertEquals, assertRejects } from "@std/assert";
import { serviceState } from "../../../lib/engine/activation.ts";
import { EngineError } from "../../../lib/engine/error.ts";

/** What `systemctl list-sockets` prints on RHEL 8 (systemd 239). */
const RHEL_8 =
  `/dev/rfkill                  systemd-rfkill.socket systemd-rfkill.service
/run/dbus/system_bus_socket  dbus.socket           dbus.service
/run/docker.sock             docker.socket         docker.service
/run/systemd/journal/stdout  systemd-journald.socket systemd-journald.service
kobject-uevent 1             systemd-udevd-kernel.socket systemd-udevd.service
`;

/** The same of newer ones, which show `-` for a socket that starts nothing. */
const NEWER = `/run/dbus/system_bus_socket dbus.socket dbus.service
/run/dbus/system_bus_socket dbus.socket dbus-broker.service
/run/docker.sock docker.socket docker.service
/run/systemd/userdb/io.systemd.DynamicUser -  -
[::]:22 sshd.socket sshd.service
audit 1 systemd-journald-audit.socket systemd-journald.service`;

/** A systemd that prints these sockets, and this state of whatever it is asked. */
function systemd(sockets: string, state: string) {
  const asked: string[] = [];
  const systemctl = (...words: string[]) => {
    asked.push(words.join(" "));
    return Promise.resolve(
      words[0] === "list-sockets" ? sockets : `ActiveState=${state}\n`,
    );
  };
  return { systemctl, asked };
}

Deno.test("activation: a socket of systemd's whose service is down", async () => {
  for (const sockets of [RHEL_8, NEWER]) {
    for (
      const [state, expected] of [
        ["active", "up"],
        ["reloading", "up"],
        ["inactive", "down"],
        ["failed", "down"],
        // A connection that waits would start it again.
        ["deactivating", "down"],
      ] as const
    ) {
      const { systemctl, asked } = systemd(sockets, state);
      assertEquals(
        await serviceState("/run/docker.sock", systemctl),
        expected,
        state,
      );
      assertEquals(asked.at(-1), "show -p ActiveState docker.service");
    }
  }
});

Deno.test("activation: a socket that is not systemd's", async () => {
  for (
    const sockets of [
      "",
      "\n",
      "0 sockets listed.",
      RHEL_8.replace("/run/docker.sock ", "/run/docker.sock2"),
      RHEL_8.replace("/run/docker.sock ", "/srv/run/docker.sock"),
    ]
  ) {
    const { systemctl, asked } = systemd(sockets, "inactive");
    assertEquals(
      await serviceState("/run/docker.sock", systemctl),
      "unknown",
    );
    assertEquals(asked.length, 1);
  }
});

Deno.test("activation: two names of a socket are one", async () => {
  const directory = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.mkdir(`${directory}/run`);
    await Deno.writeTextFile(`${directory}/run/docker.sock`, "");
    await Deno.symlink(`${directory}/run`, `${directory}/var-run`);
    const names = ["run", "var-run"].map((name) =>
      `${directory}/${name}/docker.sock`
    );
    for (const ours of names) {
      for (const theirs of names) {
        const { systemctl } = systemd(
          `${theirs} docker.socket docker.service\n`,
          "inactive",
        );
        assertEquals(await serviceState(ours, systemctl), "down");
      }
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("activation: without systemd nothing is known", async () => {
  const none = () => Promise.reject(new Deno.errors.NotFound("systemctl"));
  assertEquals(await serviceState("/run/docker.sock", none), "unknown");
});

Deno.test("activation: a service of which nothing is told is no yes", async () => {
  const systemctl = (word: string) =>
    word === "list-sockets"
      ? Promise.resolve(NEWER)
      : Promise.reject(new Error("systemctl failed"));
  await assertRejects(
    () => serviceState("/run/docker.sock", systemctl),
    EngineError,
    "systemd does not tell whether docker.service is up: systemctl failed",
  );
  const { systemctl: empty } = systemd(NEWER, "");
  assertEquals(await serviceState("/run/docker.sock", empty), "down");
});
