#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=40 --
// Of itself Node keeps up to 128 MiB for what lives a moment, and lets the rest grow to a multiple of what is in use before it
// tidies up: a home that a flood of lines runs through took 430 MiB.
import process from "node:process";
import { refuseNode } from "./node-version.ts";

// The rest is loaded only now: on an older Node its imports would fail before a word could be said about it.
const refusal = refuseNode(process.versions.node);
if (refusal === null) await import("./main.ts");
else {
  process.stderr.write(`${refusal}\n`);
  process.exitCode = 125;
}
