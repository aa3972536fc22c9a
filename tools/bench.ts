/**
 * `deno task bench [--only PATTERN] [--against CHECKOUT]`: what the plugin costs, in one table.
 *
 * All ratios are of pairs that were measured turn by turn in this run. The floor is a bare server that allows
 * everything: `Deno.serve` on a socket of its own, `node:http` on one that systemd passes.
 *
 * Linux only. The rows with an engine need root and dockerd, those with a passed socket systemd-socket-activate.
 * `DPP_PLUGIN` names another program to measure, such as `dist/docker-policy-plugin`; `--against` puts the plugin of
 * another checkout in the place of the floor, to see what a change brings.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import { which } from "../tests/engine/dockerd.ts";
import { Bench } from "./bench/bench.ts";
import { engineRows } from "./bench/engine_rows.ts";
import { processRows } from "./bench/process_rows.ts";
import type { SocketKind } from "./bench/servers.ts";
import { socketRows } from "./bench/socket_rows.ts";
import { formatTable, missedTargets } from "./bench/table.ts";

const args: { only: string; against?: string } = parseArgs(Deno.args, {
  string: ["only", "against"],
  default: { only: "" },
});
const kinds: SocketKind[] = ["own"];
if (await which("systemd-socket-activate")) kinds.push("passed");
else console.error("bench: no rows with a passed socket: install systemd");

const started = performance.now();
const dir = Deno.makeTempDirSync({ prefix: "dpp-bench-" });
const bench = new Bench(dir, { ...args, kinds });
try {
  for (const kind of kinds) await socketRows(bench, kind);
  await engineRows(bench);
  await processRows(bench);
} finally {
  Deno.removeSync(dir, { recursive: true });
}

const cpu = /model name\s*: (.*)/.exec(Deno.readTextFileSync("/proc/cpuinfo"));
const minutes = ((performance.now() - started) / 60_000).toFixed(1);
console.log(
  `${new Date().toISOString().slice(0, 10)}, Deno ${Deno.version.deno}, ` +
    (bench.engine ? `Docker ${bench.engine}, ` : "") +
    `${navigator.hardwareConcurrency} × ${cpu?.[1] ?? Deno.build.arch}, ` +
    `load ${Deno.loadavg()[1].toFixed(1)}, ${minutes} minutes. ` +
    `Of three numbers, they are for 1 / 8 / 64 connections.\n`,
);
console.log(formatTable(bench.rows));
const missed = missedTargets(bench.rows);
if (missed.length > 0) console.log(`\n${missed.join("\n")}`);
