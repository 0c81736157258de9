import fc from "fast-check";
import { stageOf } from "../../engine/occurrences.ts";
import { admitWaiting } from "../../engine/operations/admit.ts";
import { cancelJob, retryJob } from "../../engine/operations/control.ts";
import { replayDeadLetter } from "../../engine/operations/replay.ts";
import { begin, pick, send, soon, submit } from "./asked.ts";
import { happenUntil } from "./check-step.ts";
import { HARSH_COMMANDS } from "./harsh-commands.ts";
import { jobPlan, planText } from "./jobs.ts";
import { command, type ModelCommand, QUIET_MS, STAGED, stagedOf } from "./model-command.ts";
import { RUNTIMES } from "./world.ts";

const MAX_COMMANDS = 40;

const steps = fc.nat(40);
const at = fc.nat(50);
const key = fc.constantFrom(null, null, "i1", "i2");

const SUBMITS: readonly fc.Arbitrary<ModelCommand>[] = [
  fc
    .tuple(jobPlan, steps)
    .map(([plan, n]) =>
      command(`submit ${planText(plan)}`, n, (asked, world) => submit(asked, world, { plans: [plan], key: null })),
    ),
  fc
    .tuple(jobPlan, key, steps)
    .map(([plan, k, n]) =>
      command(`submit ${planText(plan)} key ${k}`, n, (asked, world) =>
        submit(asked, world, { plans: [plan], key: k }),
      ),
    ),
  fc
    .tuple(fc.array(jobPlan, { minLength: 2, maxLength: 6 }), key, steps)
    .map(([plans, k, n]) =>
      command(`submit ${plans.map(planText).join("; ")} key ${k}`, n, (asked, world) =>
        submit(asked, world, { plans, key: k }),
      ),
    ),
];

const CANCEL_AT = ["admitted", "validating", "pulling", "creating", "running", "collecting", "retrying"] as const;

/** What users, time and the home itself do on a good day. */
const CALM_COMMANDS: readonly fc.Arbitrary<ModelCommand>[] = [
  fc.tuple(fc.array(jobPlan, { minLength: 2, maxLength: 4 }), key, steps).map(([few, k, n]) =>
    command(`submit ${STAGED} of ${few.map(planText).join("; ")} key ${k}`, n, (asked, world) => {
      submit(asked, world, { plans: stagedOf(few, world), key: k });
    }),
  ),
  fc.tuple(fc.nat(3), steps).map(([a, n]) =>
    command(`send submit ${a} again`, n, (asked, world) => {
      const one = [...asked.submits.values()].filter(({ key: k }) => k !== null)[a];
      if (one !== undefined) begin(send(world, one));
    }),
  ),
  fc.tuple(at, steps).map(([a, n]) =>
    command(`cancel job ${a}`, n, (asked, world) => {
      const jobId = pick(world, a);
      if (jobId === undefined) return;
      asked.cancelled.add(jobId);
      begin(world.run((ctx) => cancelJob(ctx, jobId, "model")));
    }),
  ),
  fc.tuple(fc.constantFrom(...CANCEL_AT), steps).map(([stage, n]) =>
    command(`cancel the first job that is ${stage}`, n, async (asked, world) => {
      const job = await soon(world, (one) => stageOf(one) === stage && one.cancelRequestedAt === null);
      if (job === undefined) return;
      asked.cancelled.add(job.jobId);
      begin(world.run((ctx) => cancelJob(ctx, job.jobId, "model")));
    }),
  ),
  fc.tuple(at, fc.boolean(), steps).map(([a, byHand, n]) =>
    command(`${byHand ? "retry" : "replay twice"} failed job ${a}`, n, (asked, world) => {
      const jobId = pick(world, a, ({ types }) => types.includes("DEAD_LETTERED"));
      if (jobId === undefined) return;
      const options = { caller: "model" };
      if (byHand) {
        asked.again.set(jobId, (asked.again.get(jobId) ?? 0) + 1);
        return begin(world.run((ctx) => retryJob(ctx, jobId, options)));
      }
      begin(world.run((ctx) => replayDeadLetter(ctx, jobId, options)));
      begin(world.run((ctx) => replayDeadLetter(ctx, jobId, options)));
    }),
  ),
  fc
    .constantFrom(10, 1000, 5000, 60_000)
    .map((ms) => command(`${ms} ms pass`, 0, (_, world) => happenUntil(world, world.sim.nowMs() + ms))),
  fc.nat(200).map((n) => command("time goes on", n, () => undefined)),
  fc.tuple(fc.boolean(), steps).map(([twice, n]) =>
    command(twice ? "two sweeps" : "sweep", n, (_, world) => {
      begin(world.sweep(QUIET_MS));
      if (twice) begin(world.sweep(QUIET_MS));
    }),
  ),
  fc
    .tuple(fc.constantFrom(...RUNTIMES), steps)
    .map(([runtime, n]) =>
      command(`admit to ${runtime}`, n, (_, world) => begin(world.run((ctx) => admitWaiting(ctx, runtime)))),
    ),
];

const CALM = [...SUBMITS, ...SUBMITS, ...SUBMITS, ...CALM_COMMANDS];
const ALL = [...SUBMITS, ...CALM, ...HARSH_COMMANDS];

/** The commands of one run: those that disturb nothing, or all of them. */
export function commandsOf(calm: boolean): fc.Arbitrary<Iterable<ModelCommand>> {
  return fc.commands([...(calm ? CALM : ALL)], { maxCommands: MAX_COMMANDS, size: "max" });
}
