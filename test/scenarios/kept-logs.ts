import { expect, it } from "vitest";
import { cleanedUp, ended, eventsOf, logsOf, submit, type Target } from "./client.ts";
import type { Spec } from "./contract.ts";

const MIB = 1024 * 1024;
const SECRET = "pass/word+with&9=odd%marks";

/** What is kept of a log when its container or process has gone. */
export function logsAreKept(home: () => Target, job: (script: string, more?: Spec) => Spec): void {
  async function logOf(script: string, more?: Spec) {
    const { jobId } = await submit(home(), job(script, more));
    expect(await ended(home(), jobId)).toMatchObject({ status: "SUCCEEDED" });
    await cleanedUp(home(), jobId);
    const lines = await logsOf(home(), jobId, "?limit=10000");
    const { data } = (await eventsOf(home(), jobId)).find(({ type }) => type === "LOGS_COLLECTED") ?? {};
    expect(lines.map(({ seq }) => seq)).toEqual([...lines.map(({ seq }) => seq)].sort((a, b) => a - b));
    return {
      lines,
      data,
      of: (stream: string) => lines.filter((line) => line.stream === stream).map(({ text }) => text),
    };
  }

  it("keeps each stream's order, and a last line without its end", async () => {
    const loop = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo out $i; echo err $i >&2; done; printf last";
    const { of, data } = await logOf(loop);
    const numbers = Array.from({ length: 400 }, (_, n) => n + 1);
    expect(of("stdout")).toEqual([...numbers.map((n) => `out ${n}`), "last"]);
    expect(of("stderr")).toEqual(numbers.map((n) => `err ${n}`));
    expect(data).toMatchObject({ lines: 801, truncated: false });
  });

  it("takes any bytes, and shows what is no text as such", async () => {
    const { of } = await logOf(
      "printf 'a\\377\\376b\\n\\000\\001\\n\\303\\n\\251\\n\\033[31mred\\r\\n'; printf '\\342\\202'",
    );
    // A runtime may write one mark for several bytes, and may take the return for a part of the line's end.
    const shown = of("stdout").map((text) => text.replace(/\r$/, "").replace(/\ufffd+/g, "?"));
    expect(shown).toEqual(["a?b", "\0\u0001", "?", "?", "\u001b[31mred", "?"]);
  });

  it("keeps every byte of a line of mebibytes, and no half of a secret value where it has to be cut", async () => {
    const filler = (bytes: number, letter: string) => `head -c ${bytes} /dev/zero | tr '\\0' ${letter}`;
    const ahead = MIB - 11;
    const script = `${filler(ahead, "x")}; printf %s "$DB_PASSWORD"; ${filler(MIB, "y")}; echo; echo next`;
    const { of } = await logOf(script, { env: { DB_PASSWORD: SECRET } });
    const texts = of("stdout");
    expect(texts.at(-1)).toBe("next");
    expect(texts.length).toBeGreaterThan(2);
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(MIB + 20);
    const whole = texts.slice(0, -1).join("");
    expect(whole === `${"x".repeat(ahead)}***REDACTED***${"y".repeat(MIB)}`, whole.replace(/x+|y+/g, "…")).toBe(true);
  });

  it("keeps the beginning and the end of what is too much, and says how much is missing between", async () => {
    const loop = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done";
    const { lines, data, of } = await logOf(loop, { logs: { maxBytes: 30_000 } });
    const [note] = of("system");
    const missing = Number(
      /^(\d+) lines were left out here: the log is longer than logs.maxBytes/.exec(note ?? "")?.[1],
    );
    const texts = of("stdout");
    expect(texts.length + missing).toBe(3000);
    const head = lines.findIndex(({ stream }) => stream === "system");
    expect(head).toBeGreaterThan(50);
    const numbers = Array.from({ length: 3000 }, (_, n) => `line ${n + 1}`);
    expect(texts).toEqual([...numbers.slice(0, head), ...numbers.slice(head + missing)]);
    expect(data).toMatchObject({ lines: 3000, truncated: true });
  });
}
