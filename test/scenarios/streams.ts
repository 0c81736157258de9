import { describe, expect, it } from "vitest";
import {
  type Answer,
  call,
  cleanedUp,
  ended,
  eventsOf,
  follow,
  logsOf,
  type Message,
  problemOf,
  submit,
  type Target,
} from "./client.ts";
import { JOB_KEYS, type Job, type JobEvent, type LogLine, type Page, type Spec } from "./contract.ts";

const LINES = 8;
const TALK = `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo "line $i"; done`;

async function all(messages: AsyncIterable<Message>): Promise<Message[]> {
  const found: Message[] = [];
  for await (const message of messages) if (message.event !== "heartbeat") found.push(message);
  return found;
}

/** Server-sent events: every line and event exactly once, however often the connection is cut. */
export function streams(target: Target, facts: { name: string; job(script: string, more?: Spec): Spec }): void {
  describe(`streams of a job on ${facts.name}`, () => {
    it("carry every line and event with its seq as id, and end with the job", async () => {
      const { jobId } = await submit(target, facts.job(TALK));
      const [lines, events] = await Promise.all([
        all(follow(target, `/jobs/${jobId}/logs`)),
        all(follow(target, `/jobs/${jobId}/events`)),
      ]);
      expect(lines.map(({ event }) => event)).toEqual([...Array(LINES).fill("log"), "end"]);
      expect(lines.slice(0, -1).map(({ data }) => data)).toEqual(await logsOf(target, jobId));
      expect(lines.slice(0, -1).map(({ id }) => Number(id))).toEqual(
        lines.slice(0, -1).map(({ data }) => (data as LogLine).seq),
      );
      const end = lines.at(-1);
      expect(Object.keys(end?.data as object).sort()).toEqual(JOB_KEYS);
      expect(end?.data).toMatchObject({ jobId, status: "SUCCEEDED", exitCode: 0 });
      expect(events.at(-1)).toMatchObject({ event: "end", data: { jobId, status: "SUCCEEDED" } });
      const told = events.slice(0, -1).map(({ data }) => data as JobEvent);
      expect(told.at(-1)?.type).toBe("SUCCEEDED");
      expect(told).toEqual((await eventsOf(target, jobId)).slice(0, told.length));
      expect(events.slice(0, -1).map(({ id }) => Number(id))).toEqual(told.map(({ seq }) => seq));
      await cleanedUp(target, jobId);
    });

    it("go on after every position", async () => {
      const { jobId } = await submit(target, facts.job(TALK));
      await ended(target, jobId);
      await cleanedUp(target, jobId);
      const lines = await logsOf(target, jobId);
      for (let at = 0; at <= LINES; at++) {
        const rest = await all(follow(target, `/jobs/${jobId}/logs`, { "Last-Event-ID": String(at) }));
        expect(rest.map(({ data }) => data).slice(0, -1)).toEqual(lines.slice(at));
        expect(rest.at(-1)?.event).toBe("end");
      }
      const events = await eventsOf(target, jobId);
      const terminal = events.findIndex(({ type }) => type === "SUCCEEDED") + 1;
      for (let at = 0; at < terminal; at++) {
        const rest = await all(follow(target, `/jobs/${jobId}/events`, { "Last-Event-ID": String(at) }));
        expect(rest.map(({ data }) => data).slice(0, -1)).toEqual(events.slice(at, terminal));
        expect(rest.at(-1)?.event).toBe("end");
      }
      const late = await all(follow(target, `/jobs/${jobId}/logs`, { "Last-Event-ID": "999999" }));
      expect(late.map(({ event }) => event)).toEqual(["end"]);
    });

    it("take the same parameters as the documents", async () => {
      const { jobId } = await submit(target, facts.job(`${TALK}; echo oops >&2`));
      await ended(target, jobId);
      const texts = async (query: string) =>
        (await all(follow(target, `/jobs/${jobId}/logs${query}`)))
          .filter(({ event }) => event === "log")
          .map(({ data }) => (data as LogLine).text);
      expect(await texts("?stream=stderr")).toEqual(["oops"]);
      expect(await texts("?tail=0")).toEqual([]);
      expect(await texts("?tail=1&stream=stdout")).toEqual([`line ${LINES}`]);
      expect(await texts("?stream=stdout&since=6")).toHaveLength(
        (await logsOf(target, jobId, "?stream=stdout&since=6")).length,
      );
      expect(await texts("?follow=true&stream=stderr")).toEqual(["oops"]);
      for (const id of ["x", "-1", "1.5", "1e3"]) {
        const headers = { Accept: "text/event-stream", "Last-Event-ID": id };
        problemOf(await call(target, `/jobs/${jobId}/logs`, { headers }), 422, "VALIDATION");
      }
      await cleanedUp(target, jobId);
    });

    it("carry more than fits into one buffer, and long lines whole", async () => {
      const long = "x".repeat(50_000);
      const script = `i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo "$i ${"y".repeat(200)}"; done; printf '${long}\\n%s' end`;
      const { jobId } = await submit(target, facts.job(script));
      const lines = (await all(follow(target, `/jobs/${jobId}/logs`))).slice(0, -1).map(({ data }) => data as LogLine);
      expect(lines.map(({ seq }) => seq)).toEqual(Array.from({ length: lines.length }, (_, n) => n + 1));
      expect(
        lines
          .map(({ text }) => text)
          .join("\n")
          .replaceAll("y", ""),
      ).toContain("1999 \n2000 \n");
      expect(lines.at(-1)?.text).toBe("end");
      expect(
        lines
          .filter(({ text }) => text.startsWith("x"))
          .map(({ text }) => text)
          .join(""),
      ).toBe(long);
      const pages: LogLine[] = [];
      for (let cursor: string | null = "0"; cursor !== null; ) {
        const { body }: Answer<Page<LogLine>> = await call(target, `/jobs/${jobId}/logs?limit=700&cursor=${cursor}`);
        pages.push(...body.items);
        cursor = body.nextCursor;
      }
      expect(pages).toEqual(lines);
      await cleanedUp(target, jobId);
    });

    it("lose and double nothing when they are cut thirty times", async () => {
      const count = 300;
      const script = `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "line $i"; [ $((i % 10)) = 0 ] && sleep 0.05; done; exit 0`;
      const { jobId } = await submit(target, facts.job(script));
      const seen: LogLine[] = [];
      let end: Job | undefined;
      for (let cuts = 0; end === undefined; cuts++) {
        const last = seen.at(-1)?.seq;
        const headers: Record<string, string> = last === undefined ? {} : { "Last-Event-ID": String(last) };
        let taken = 0;
        for await (const { event, data } of follow(target, `/jobs/${jobId}/logs`, headers)) {
          if (event === "end") end = data as Job;
          if (event !== "log") continue;
          seen.push(data as LogLine);
          taken += 1;
          // Never twice at the same place of a chunk; the last one reads to the end.
          if (cuts < 30 && taken === 1 + (cuts % 9)) break;
        }
        expect(cuts).toBeLessThan(40);
      }
      expect(seen.map(({ text }) => text)).toEqual(Array.from({ length: count }, (_, n) => `line ${n + 1}`));
      expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, n) => n + 1));
      expect(end).toMatchObject({ status: "SUCCEEDED" });
      expect(await logsOf(target, jobId)).toEqual(seen);
      await cleanedUp(target, jobId);
    });
  });
}
