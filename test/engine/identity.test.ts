import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isJobId, type JobId, mintedAt, mintHomeId, mintJobId } from "../../engine/ids.ts";
import { executionName, externalName } from "../../engine/naming.ts";

const NOW = Date.parse("2026-01-31T23:59:59.999Z");

describe("job ids", () => {
  test("sort in the order in which they were minted, also within one millisecond", () => {
    const ids = Array.from({ length: 1000 }, () => mintJobId(NOW));
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(1000);
    expect(ids.every(isJobId)).toBe(true);
  });

  test("carry the time that the job shows as its creation", () => {
    expect(mintedAt(mintJobId(NOW + 1))).toBe("2026-02-01T00:00:00.000Z");
  });

  test("do not go back with a clock that does, and still agree with their own time", () => {
    const later = mintJobId(NOW + 60_000);
    const earlier = mintJobId(NOW);
    expect(earlier > later).toBe(true);
    expect(mintedAt(earlier)).toBe(mintedAt(later));
  });

  test.each([
    "",
    "job_",
    "01KGABCDEFGHJKMNPQRSTVWXYZ",
    "job_01KGABCDEFGHJKMNPQRSTVWXY",
    "job_01KGABCDEFGHJKMNPQRSTVWXYZ0",
    "job_01kgabcdefghjkmnpqrstvwxyz",
    // I, L, O and U are no letters of this alphabet; 8 and more would be beyond its time.
    "job_01KGABCDEFGHJKMNPQRSTVWXYU",
    "job_81KGABCDEFGHJKMNPQRSTVWXYZ",
    "job_01KGABCDEFGHJKMNPQRSTVWXYZ\n",
    "job_../../../../../etc/passwd0",
    "home_01KGABCDEFGHJKMNPQRSTVWXYZ",
  ])("are not %j", (text) => {
    expect(isJobId(text)).toBe(false);
  });

  test("are told from a home's", () => {
    expect(mintHomeId(NOW)).toMatch(/^home_[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(mintHomeId(NOW)).not.toBe(mintHomeId(NOW));
  });
});

describe("the name of an attempt's resource", () => {
  const id = "job_01KGABCDEFGHJKMNPQRSTVWXYZ" as JobId;
  const names = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  const attempts = fc.integer({ min: 1, max: 9999 });

  test("is made of the id's random end, the job's name and the attempt", () => {
    expect(externalName(id, "nightly", 2)).toBe("longshore-pqrstvwxyz-nightly-a2");
  });

  test("is a DNS label that says its attempt, whatever the job's name", () => {
    fc.assert(
      fc.property(names, attempts, (name, attempt) => {
        const label = externalName(id, name, attempt);
        expect(label).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
        expect(label.endsWith(`-a${attempt}`)).toBe(true);
        expect(label).not.toContain(`--a${attempt}`);
        expect(externalName(id, name, attempt)).toBe(label);
      }),
    );
  });

  test("keeps what fits of a long name and no hyphen where it was cut", () => {
    const cutAtHyphen = `${"a".repeat(38)}-${"b".repeat(24)}`;
    expect(externalName(id, cutAtHyphen, 1)).toBe(`longshore-pqrstvwxyz-${"a".repeat(38)}-a1`);
    expect(externalName(id, "c".repeat(63), 1)).toHaveLength(63);
    expect(externalName(id, "c".repeat(63), 1234)).toHaveLength(63);
  });

  test("differs for jobs of one millisecond and for attempts of one job", () => {
    const jobs = Array.from({ length: 200 }, () => mintJobId(NOW + 120_000));
    const all = jobs.flatMap((jobId) => [1, 2, 11].map((attempt) => externalName(jobId, "nightly", attempt)));
    expect(new Set(all).size).toBe(600);
  });
});

test("an execution's name tells job, attempt and generation apart", () => {
  const id = "job_01KGABCDEFGHJKMNPQRSTVWXYZ" as JobId;
  expect(executionName(id, 1, 11)).toBe(`${id}-1-11`);
  expect(executionName(id, 1, 11)).not.toBe(executionName(id, 11, 1));
  // Step Functions takes up to 80 characters: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
  expect(executionName(id, 9999, 9999).length).toBeLessThanOrEqual(80);
});
