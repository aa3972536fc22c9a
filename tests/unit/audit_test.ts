import { assertEquals, assertMatch } from "@std/assert";
import {
  type AuditEvent,
  auditToFile,
  auditToJournal,
} from "../../lib/audit.ts";
import type { Log } from "../../lib/log.ts";
import { sleep } from "../helpers/programs.ts";

const EVENT: AuditEvent = {
  user: "eve\u001b\u009b",
  method: "POST",
  path: "/containers/create",
  call: "container create",
  verdict: "deny",
  rule: "volumes/named",
  reason: 'named volume "a=b\n"',
  seconds: 0.001,
};

function noted(): { lines: string[]; log: Log } {
  const lines: string[] = [];
  const note = (message: string) => void lines.push(message);
  return { lines, log: { error: note, warning: note, info: note } };
}

Deno.test("audit: a line of JSON an event, in a file for its owner", async () => {
  const dir = await Deno.makeTempDir();
  const file = `${dir}/audit.log`;
  const { lines, log } = noted();
  const audit = auditToFile(file, log);
  audit.write(EVENT);
  await Deno.rename(file, `${file}.1`);
  audit.write(EVENT);
  audit.reopen();
  audit.write(EVENT);
  audit.reopen();
  assertEquals((Deno.lstatSync(file).mode ?? 0) & 0o777, 0o600);
  const read = (path: string) => Deno.readTextFileSync(path).split("\n");
  assertEquals([read(`${file}.1`).length, read(file).length], [3, 2]);
  const { time, ...event } = JSON.parse(read(file)[0]);
  assertEquals(event, EVENT);
  assertMatch(time, /^\d{4}-\d\d-\d\dT/);
  // deno-lint-ignore no-control-regex -- none may be left
  assertEquals(/[\u0000-\u001f\u007f-\u009f]/.test(read(file)[0]), false);
  assertEquals([audit.lost(), lines], [0, []]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("audit: a full disk is told once, and counted", () => {
  const { lines, log } = noted();
  const audit = auditToFile("/dev/full", log);
  audit.write(EVENT);
  audit.write(EVENT);
  audit.reopen();
  assertEquals(audit.lost(), 2);
  assertEquals(lines.length, 1);
  assertMatch(
    lines[0],
    /^the audit log can't be written to \/dev\/full: No space/,
  );
});

Deno.test("audit: a file that can't be made refuses nothing, and is tried again", async () => {
  const dir = await Deno.makeTempDir();
  const { lines, log } = noted();
  const audit = auditToFile(`${dir}/later/audit.log`, log);
  audit.write(EVENT);
  await Deno.mkdir(`${dir}/later`);
  audit.write(EVENT);
  audit.reopen();
  assertEquals(audit.lost(), 1);
  assertMatch(lines[1], /again, without 1 events since the start$/);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("audit: the journal gets fields", async () => {
  const dir = await Deno.makeTempDir();
  const { lines, log } = noted();
  const journal = `${dir}/journal.sock`;
  const audit = auditToJournal(dir, log, journal);
  audit.write(EVENT);
  for (let tries = 0; tries < 100 && audit.lost() === 0; tries++) {
    await sleep(10);
  }
  assertMatch(lines[0], /^the audit log can't be written to the journal: /);
  const journald = Deno.listenDatagram({
    transport: "unixpacket",
    path: journal,
  });
  audit.write(EVENT);
  const [datagram] = await journald.receive();
  assertEquals(new TextDecoder().decode(datagram).split("\n"), [
    "MESSAGE=deny eve\\u001b\\u009b POST /containers/create volumes/named",
    "PRIORITY=5",
    "SYSLOG_IDENTIFIER=docker-policy-plugin-audit",
    "DOCKER_POLICY_USER=eve\\u001b\\u009b",
    "DOCKER_POLICY_METHOD=POST",
    "DOCKER_POLICY_PATH=/containers/create",
    "DOCKER_POLICY_CALL=container create",
    "DOCKER_POLICY_VERDICT=deny",
    "DOCKER_POLICY_RULE=volumes/named",
    'DOCKER_POLICY_REASON=named volume "a=b\\u000a"',
    "DOCKER_POLICY_SECONDS=0.001",
    "",
  ]);
  journald.close();
  audit.close();
  await Deno.remove(dir, { recursive: true });
});
