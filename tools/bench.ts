/**
 * `deno task bench`: what the plugin costs, against what costs nothing, in one table.
 *
 *   deno task bench [--only REGEX] [--slow FACTOR] [--against CHECKOUT]
 *
 * All ratios are of pairs measured turn by turn in this run. Needs Linux; root and a dockerd for the rows with an
 * engine, and systemd-socket-activate for those with a passed socket. `DPP_PLUGIN` names another program to measure,
 * such as `dist/docker-policy-plugin`; `--against` puts the plugin of another checkout in the place of the floor.
 *
 * @module
 */
import { parseArgs } from "@std/cli";
import { Bench } from "./bench/bench.ts";
import { socketRows } from "./bench/socket_rows.ts";
import { formatTable, missedTargets } from "./bench/table.ts";

const args: { only: string; slow: string; against?: string } = parseArgs(
  Deno.args,
  {
    string: ["only", "slow", "against"],
    default: { only: "", slow: "1" },
  },
);
const dir = Deno.makeTempDirSync({ prefix: "dpp-bench-" });
const bench = new Bench(dir, { ...args, slow: Number(args.slow) });
try {
  await socketRows(bench, "own");
  await socketRows(bench, "passed");
} finally {
  Deno.removeSync(dir, { recursive: true });
}
console.log(formatTable(bench.rows));
for (const line of missedTargets(bench.rows)) console.log(line);
