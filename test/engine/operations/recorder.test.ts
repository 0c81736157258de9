import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { JobId } from "../../../engine/ids.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import type { Life } from "../../../engine/ledger/records.ts";
import { createRecorder } from "../../../engine/operations/recorder.ts";
import { occurrences } from "../lives.ts";
import { admitted, lifeOf, openWorld, typesOf, type World } from "./world.ts";

let world: World;
let life: Life;
let jobId: JobId;
const { DISPATCH, PULL, CREATE } = occurrences();

beforeEach(async () => {
  world = await openWorld();
  ({ jobId } = await admitted(world));
  ({ life } = await advance(world.ledger, jobId, DISPATCH));
  // Only these: the table commits in a turn of the loop.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(async () => {
  vi.useRealTimers();
  await world.dispose();
});

const committed = async () => (await typesOf(world, jobId)).slice(3);

test("progress that waits for what comes next shares its commit", async () => {
  const recorder = createRecorder({ ...world.ctx, progressDelayMs: 1_000 }, life);
  recorder.add(PULL);
  await vi.advanceTimersByTimeAsync(999);
  recorder.add(CREATE);
  expect(await committed()).toEqual([]);
  expect(await recorder.take()).toMatchObject({ reports: [PULL, CREATE], known: life });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await committed()).toEqual([]);
});

test("progress is committed when nothing comes in time, all that there is at once", async () => {
  const recorder = createRecorder({ ...world.ctx, progressDelayMs: 1_000 }, life);
  recorder.add(PULL);
  recorder.add(CREATE);
  await vi.advanceTimersByTimeAsync(1_000);
  const { reports, known } = await recorder.take();
  expect(reports).toEqual([]);
  expect(await committed()).toEqual(["IMAGE_PULLING", "CONTAINER_CREATING"]);
  expect(known).toEqual(await lifeOf(world, jobId));
  const events = await world.ledger.table.query({
    pk: `JOB#${jobId}`,
    sk: { prefix: "EVENT#", after: "EVENT#00000003" },
  });
  expect(events.items.map(({ sk }) => sk)).toEqual(["EVENT#00000005"]);
});

test("progress that is dropped is never committed, and what comes later is", async () => {
  const recorder = createRecorder({ ...world.ctx, progressDelayMs: 1_000 }, life);
  recorder.add(PULL);
  recorder.drop();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await committed()).toEqual([]);
  recorder.add(CREATE);
  await recorder.flush();
  expect(await committed()).toEqual(["CONTAINER_CREATING"]);
});

test("where no delay is named progress is committed at the next turn", async () => {
  const recorder = createRecorder(world.ctx, life);
  recorder.add(PULL);
  await new Promise((resolve) => setImmediate(resolve));
  expect((await recorder.take()).reports).toEqual([]);
  expect(await committed()).toEqual(["IMAGE_PULLING"]);
});
