import Table from "cli-table3";
import type { Check } from "./checks.ts";
import type { Census } from "./ledger.ts";

const MAX_EXAMPLES = 10;

/** The checks as a table, with examples of what is wrong. */
export function tableOf(checks: readonly Check[]): string {
  const table = new Table({ head: ["check", "looked at", "wrong"], style: { head: [], border: [] } });
  for (const { name, looked, faults } of checks) table.push([name, looked, faults.length]);
  const wrong = checks.filter(({ faults }) => faults.length > 0).map(examplesOf);
  return [table.toString(), ...wrong].join("\n");
}

function examplesOf({ name, faults }: Check): string {
  const shown = faults.slice(0, MAX_EXAMPLES).map((fault) => `  ${fault}`);
  const rest = faults.length - shown.length;
  return [`${name}:`, ...shown, ...(rest > 0 ? [`  and ${rest} more`] : [])].join("\n");
}

/** Counts on one line, the highest first. */
export function countsOf(census: Census): string {
  const entries = Object.entries(census).sort(([, one], [, other]) => other - one);
  return entries.map(([place, count]) => `${place} ${count}`).join(", ");
}

/** Prints lines with the seconds since it was made. */
export function secondsSaid(): (line: string) => void {
  const begun = performance.now();
  return (line) => console.log(`${((performance.now() - begun) / 1000).toFixed(0).padStart(4)} s  ${line}`);
}
