import Docker from "dockerode";
import { benchDockerLife } from "./docker-life.ts";
import { benchStubJobs } from "./stub-jobs.ts";
import { benchSubmits } from "./submits.ts";

// One JSON line a figure, each a ratio measured in one run in interleaved pairs: ratios travel, milliseconds do not.

/** Any image with a shell will do; this is the one that the tests make. */
const IMAGE = process.env.BENCH_IMAGE ?? "longshore-test/busybox:1";

try {
  await new Docker().getImage(IMAGE).inspect();
} catch (error) {
  console.error(`the figures on Docker are left out: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
if (process.exitCode !== 1) await benchDockerLife(IMAGE);
await benchSubmits();
await benchStubJobs();
