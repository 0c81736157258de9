import fc from "fast-check";
import type { JobRecord } from "../../engine/ledger/records.ts";
import { externalName } from "../../engine/naming.ts";
import { stageOf } from "../../engine/occurrences.ts";
import { cancelJob } from "../../engine/operations/control.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import { expireAttempt } from "../../engine/operations/stop.ts";
import { isTerminal } from "../../engine/states.ts";
import { type Asked, begin, pick, recordIn, soon, submit } from "./asked.ts";
import { happen } from "./check-step.ts";
import { jobPlan, planText, SHORT_LIVED } from "./jobs.ts";
import { command, type ModelCommand, STAGED, stagedOf } from "./model-command.ts";
import type { World } from "./world.ts";

const steps = fc.nat(40);
const at = fc.nat(50);
const attempt = fc.integer({ min: 1, max: 3 });
const rate = fc.constantFrom(0, 0.1, 0.5);

/** How often a home that comes back is started twice, and so sweeps twice. */
const TWO_AT_ONCE = 0.3;

/** Until when one of two launches is held back. */
const LATE_UNTIL = ["the job has ended", "the next attempt is launched"] as const;
/** What happens meanwhile, at most: an attempt or two from beginning to end. */
const LATE_STEPS = 400;
const LAUNCHING: ReadonlySet<string> = new Set(["validating", "pulling", "creating"]);

/** What goes wrong: processes die, news come twice or never, somebody else is at the containers, nothing answers. */
export const HARSH_COMMANDS: readonly fc.Arbitrary<ModelCommand>[] = [
  fc.tuple(fc.constantFrom(0, 0, 2000, 100_000), steps).map(([ms, n]) =>
    command(`crash, ${ms} ms down`, n, (_, world) => {
      world.crash();
      comeBack(world, ms);
    }),
  ),
  fc.tuple(fc.nat(20), steps).map(([between, n]) =>
    command(`stop, ${between} steps, then die`, n, async (_, world) => {
      world.stop();
      await happen(world, between);
      world.crash();
      comeBack(world, 0);
    }),
  ),
  fc.tuple(at, steps).map(([a, n]) =>
    command(`task ${a} comes again`, n, (_, world) => {
      const { history } = world.machine;
      const again = history[a % Math.max(1, history.length)];
      // Two launches of one attempt at once are only played where that is expected of the orchestrator.
      if (again === undefined || (again.functionName.includes("Dispatch") && !world.setting.overlap)) return;
      begin(world.task(again.functionName, again.payload));
    }),
  ),
  fc
    .tuple(fc.constantFrom(...LATE_UNTIL), steps)
    .map(([until, n]) =>
      command(`a launch comes twice, and one makes its resource when ${until}`, n, (asked, world) =>
        comeLate(asked, world, until),
      ),
    ),
  steps.map((n) =>
    command("a process dies before it cleans up, and the retry is requeued out of turn", n, async (_, world) => {
      const job = await soon(world, ({ status, cleanupPending }) => status === "RETRYING" && cleanupPending);
      if (job === undefined) return;
      const { jobId, attempt: k, generation } = job;
      // Else whoever cleans up is mostly faster.
      world.crash();
      comeBack(world, 0);
      begin(world.task("Finalize", { step: "requeue", input: { jobId, attempt: k, generation } }));
    }),
  ),
  steps.map((n) =>
    command("the deadline of an attempt before comes late", n, async (_, world) => {
      const job = await soon(world, ({ status, attempt: k }) => k > 1 && status === "RUNNING");
      if (job !== undefined) begin(world.run((ctx) => expireAttempt(ctx, job.jobId, job.attempt - 1)));
    }),
  ),
  steps.map((n) =>
    command("cancel a running job, and the news of it are lost", n, async (asked, world) => {
      const job = await soon(world, (one) => stageOf(one) === "running" && isLong(one));
      if (job === undefined) return;
      asked.cancelled.add(job.jobId);
      begin(world.run((ctx) => cancelJob(ctx, job.jobId, "model")).then(() => loseFeeds(world)));
    }),
  ),
  fc.tuple(fc.array(jobPlan, { minLength: 1, maxLength: 3 }), steps).map(([few, n]) =>
    command(
      `submit ${STAGED} of ${few.map(planText).join("; ")}, die, and the news are lost`,
      n,
      async (asked, world) => {
        submit(asked, world, { plans: stagedOf(few, world), key: null });
        const job = await soon(world, ({ stagedIn }) => stagedIn !== undefined);
        if (job === undefined) return;
        world.crash();
        loseFeeds(world);
        comeBack(world, 2000);
      },
    ),
  ),
  fc.tuple(at, attempt, steps).map(([a, k, n]) =>
    command(`news of attempt ${k} of job ${a}`, n, (_, world) => {
      const jobId = pick(world, a);
      if (jobId !== undefined) begin(world.run((ctx) => observeExit(ctx, { jobId, attempt: k })));
    }),
  ),
  fc.tuple(at, fc.boolean(), steps).map(([a, gone, n]) =>
    command(`the resource of job ${a} ${gone ? "vanishes" : "is killed"}`, n, (_, world) => {
      const jobId = pick(world, a, ({ terminalEvents }) => terminalEvents === 0);
      if (jobId !== undefined) begin(takeAway(world, jobId, gone));
    }),
  ),
  fc.tuple(at, steps).map(([a, n]) =>
    command(`a container of job ${a} appears that nobody owns`, n, (_, world) => {
      const jobId = pick(world, a, ({ types }) => types.includes("CLEANED_UP"));
      const job = jobId === undefined ? undefined : recordIn(world, jobId);
      if (job === undefined || !isTerminal(job.status) || job.cleanupPending || job.externalName === null) return;
      const { externalName, attempt: k } = job;
      const place = world.places.find(({ adapter }) => adapter.name === job.runtime);
      place?.make({ externalName, jobId: job.jobId, attempt: k, kept: false });
    }),
  ),
  steps.map((n) =>
    command("the feed loses what it holds", n, (_, world) => {
      loseFeeds(world);
    }),
  ),
  fc.tuple(rate, rate, rate, steps).map(([table, runtime, others, n]) =>
    command(`of calls fail: ${table} table, ${runtime} runtime, ${others} others`, n, (_, world) => {
      world.ports.faults = { ...world.ports.faults, table, runtime, others };
    }),
  ),
  fc
    .tuple(fc.constantFrom(1000, 60_000, 7_200_000, 100_000_000), steps)
    .map(([ms, n]) => command(`nothing happens for ${ms} ms`, n, (_, world) => world.sim.advance(ms))),
];

function isLong({ timeoutSeconds, cancelRequestedAt }: JobRecord): boolean {
  return timeoutSeconds === 3600 && cancelRequestedAt === null;
}

/** Of two launches of one attempt one makes its resource only when the other one's has come and gone. */
async function comeLate(asked: Asked, world: World, until: (typeof LATE_UNTIL)[number]): Promise<void> {
  if (!world.setting.overlap) return;
  submit(asked, world, { plans: [SHORT_LIVED], key: null });
  const label = `s${asked.submits.size}`;
  const job = await soon(world, ({ labels }) => labels.submit === label, LATE_STEPS);
  if (job === undefined) return;
  const { jobId, name } = job;
  const held = world.ports.holdBack(`${job.runtime} create ${externalName(jobId, name, 1)}`);
  try {
    await soon(world, (one) => one.jobId === jobId && held.isTaken(), LATE_STEPS);
    const task = world.machine.history.find(({ functionName, payload }) => {
      const of = payload as { jobId?: string; attempt?: number };
      return functionName.includes("Dispatch") && of.jobId === jobId && of.attempt === 1;
    });
    if (!held.isTaken() || task === undefined) return;
    begin(world.task(task.functionName, task.payload));
    const isGone = ({ status, cleanupPending }: JobRecord) => isTerminal(status) && !cleanupPending;
    const isNext = (one: JobRecord) => one.attempt > 1 && LAUNCHING.has(stageOf(one));
    const isSoFar = until === LATE_UNTIL[0] ? isGone : isNext;
    await soon(world, (one) => one.jobId === jobId && (isSoFar(one) || isTerminal(one.status)), LATE_STEPS);
  } finally {
    held.letGo();
  }
}

function comeBack(world: World, ms: number): void {
  const boot = () => {
    if (!world.boot()) return;
    begin(world.sweep(0));
    if (world.sim.random.chance(TWO_AT_ONCE)) begin(world.sweep(0));
  };
  if (ms === 0) boot();
  else world.sim.setTimer(world.sim.outside, ms, boot);
}

function loseFeeds({ feeds, bus }: World): void {
  for (const feed of feeds) feed.lose();
  bus.forgive();
}

async function takeAway(world: World, jobId: string, gone: boolean): Promise<void> {
  const job = recordIn(world, jobId);
  for (const place of world.places) {
    for (const name of place.namesOf(jobId)) {
      // What vanishes before its start is on record cannot be told from what was never started.
      if (gone && job?.externalRef === name) await place.vanish(name);
      if (!gone) await place.kill(name);
    }
  }
}
