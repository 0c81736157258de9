import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RECEIPT_SCHEMA, type RunReceipt } from "../../../engine/runs/receipt.ts";
import { summaryOf } from "../../../engine/runs/summary.ts";

const AT = "2026-03-04T05:06:07.000Z";

function receipt(patch: Partial<RunReceipt> = {}): RunReceipt {
  const error = {
    category: "USER_CODE",
    message: "the command exited with code 3",
    retryable: false,
    providerCode: null,
    exitCode: 3,
  } as const;
  return {
    schema: RECEIPT_SCHEMA,
    longshoreVersion: "0.1.0",
    jobId: "job_01J00000000000000000000000",
    name: "nightly",
    status: "FAILED",
    exitCode: 3,
    error,
    runtime: "docker",
    image: "alpine:3.20",
    labels: {},
    lane: "default",
    priority: 0,
    submittedBy: "local",
    retryOf: null,
    createdAt: AT,
    startedAt: AT,
    finishedAt: "2026-03-04T05:09:12.000Z",
    durationMs: 185_000,
    cancelRequestedAt: null,
    spec: {},
    specHash: "sha256:00",
    maxAttempts: 1,
    attempts: [{ attempt: 1, runtime: "docker", startedAt: AT, finishedAt: AT, exitCode: 3, error }],
    artifacts: [],
    logs: { lines: 0, bytes: 0, truncated: false, path: "/api/v1/jobs/job_01J00000000000000000000000/logs", tail: [] },
    cost: { amountUsd: 0, basis: "local" },
    deadLetterId: null,
    events: [],
    ...patch,
  };
}

function line(text: string, stream: "stdout" | "stderr" = "stdout") {
  return { seq: 1, time: AT, stream, text, attempt: 1 };
}

/** The document without its code: what a reader of Markdown would interpret. By CommonMark's rules for fences and spans. */
function markup(text: string): string {
  const outside: string[] = [];
  let fence: string | undefined;
  for (const one of text.split("\n")) {
    const [mark = ""] = /^`{3,}/.exec(one) ?? [];
    if (fence === undefined && mark !== "" && !one.slice(mark.length).includes("`")) fence = mark;
    else if (fence !== undefined && mark.length >= fence.length && one.trim() === mark) fence = undefined;
    else if (fence === undefined) outside.push(one);
  }
  if (fence !== undefined) throw new Error("a block of code is not closed");
  return outside.join("\n").replace(/(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)/g, "");
}

describe("a summary", () => {
  it("says first how it ended, then why, in plain words and by its last lines", () => {
    const tail = [line("one"), line("it broke", "stderr")];
    const text = summaryOf(receipt({ logs: { ...receipt().logs, lines: 7, bytes: 60, tail }, deadLetterId: "dl_1" }));
    const [title, , headline, , why, , reason] = text.split("\n");
    expect([title, why]).toEqual(["# FAILED: `nightly`", "## Why"]);
    expect(headline).toContain("**FAILED** after 3 min 5 s on `docker`, exit code 3");
    expect(reason).toMatch(/^Its own command ended with exit code 3 \(USER_CODE\)/);
    expect(text).toContain("The last 2 of 7 lines of its log:\n\n```text\none\n[stderr] it broke\n```");
  });

  it.each([
    [{ status: "SUCCEEDED", error: null, exitCode: 0 }, "# SUCCEEDED: `nightly`"],
    [
      { status: "CANCELLED", error: null, exitCode: null, startedAt: null, durationMs: null, attempts: [] },
      "before anything of it was started",
    ],
    [
      {
        status: "TIMED_OUT",
        error: { category: "TIMEOUT", message: "x", retryable: false, providerCode: null, exitCode: 137 },
      },
      "ran longer than its timeout",
    ],
    [
      { error: { category: "OOM", message: "x", retryable: false, providerCode: null, exitCode: 137 } },
      "more memory than it was given",
    ],
  ] as const)("of %j says %s", (patch, expected) => {
    expect(summaryOf(receipt(patch as Partial<RunReceipt>))).toContain(expected);
  });

  it("lists artifacts with their sizes", () => {
    const one = {
      name: "out/a.csv",
      path: "/out/a.csv",
      sizeBytes: 1536,
      sha256: "ab",
      contentType: "text/csv",
      encoding: null,
      storedAt: AT,
    };
    expect(summaryOf(receipt({ artifacts: [one] }))).toContain("| `out/a.csv` | 1.5 KiB | `text/csv` | `ab` |");
  });

  const HOSTILE = [
    "<script>alert(1)</script>",
    "[a](javascript:alert(1))",
    "![a](http://example.org/x.png)",
    "www.example.org me@example.org https://example.org",
    "# heading\n\n| a | b |\n|---|---|\n- list",
    "`` ` ``` ```` ` code",
    "```\n<b>out of the block</b>\n```",
    "~~~\n~~~",
    "a | b \\| c \\",
    "\u001b]8;;http://example.org\u0007click\u001b]8;;\u0007\u001b[2J",
    "\u202eright to left\u2066\u200b",
    "\r\n\u2028\u2029\0",
    "&lt;b&gt; <!-- --> ]]> <a href=x>",
    "$(touch x) {{x}} <%= x %>",
  ];

  const everywhere = (text: string) =>
    summaryOf(
      receipt({
        name: text,
        runtime: text,
        image: text,
        submittedBy: text,
        labels: { [text]: text },
        error: { category: "UNKNOWN", message: text, retryable: true, providerCode: text, exitCode: null },
        attempts: [
          {
            attempt: 1,
            runtime: text,
            startedAt: null,
            finishedAt: null,
            exitCode: null,
            error: { category: "UNKNOWN", message: text, retryable: true, providerCode: null, exitCode: null },
          },
        ],
        artifacts: [
          { name: text, path: text, sizeBytes: 1, sha256: text, contentType: text, encoding: null, storedAt: AT },
        ],
        logs: { ...receipt().logs, lines: 1, tail: [line(text), line(text, "stderr")] },
      }),
    );
  const calm = markup(everywhere("calm"));

  it.each(HOSTILE)("takes nothing of %j for markup", (text) => {
    expect(markup(everywhere(text))).toBe(calm);
  });

  it("takes nothing of any text for markup, and shows no control character", () => {
    const part = fc.oneof(
      fc.constantFrom(...HOSTILE, "`", "``", "```", "|", "\\", "\n", "<", "[", "x"),
      fc.string({ unit: "binary", maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), (parts) => {
        const text = everywhere(`x${parts.join("")}`);
        expect(markup(text)).toBe(calm);
        expect(text).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
        expect(text.isWellFormed()).toBe(true);
        // Each row has as many cells as its head, whatever escapes a bar.
        for (const row of text.split("\n").filter((one) => /^\| 1 \|/.test(one))) {
          expect(row.match(/\|/g)).toHaveLength(7);
        }
      }),
    );
  });

  it("does not grow with what others wrote", () => {
    expect(everywhere("x".repeat(1_000_000)).length).toBeLessThan(2_100_000);
  });
});
