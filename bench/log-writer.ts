/** Every so many lines one is this long, the others are short. */
const LONG_EVERY = 50;
const LONG_BYTES = 4000;

/** What a line of the writer says first: its number, from 1. */
export const NUMBERED = /^(\d+) (?:GET |x)/;

/** A program in awk that writes numbered lines to both streams until `until` is true of `n`, and `total N` as the last. */
function writer(until: string): string {
  return [
    `BEGIN { long = sprintf("%${LONG_BYTES}s", ""); gsub(/ /, "x", long); begun = systime();`,
    `for (n = 1; !(${until}); n++) {`,
    `text = n % ${LONG_EVERY} == 0 ? n " " long : n " GET /api/v1/jobs/" n % 977 " 200 in " n % 31 " ms user=alice level=info";`,
    'if (n % 3 == 0) print text > "/dev/stderr"; else print text }',
    'print "total " n - 1 }',
  ].join(" ");
}

/** The command of a container that writes so many lines. */
export function writeLines(count: number): string[] {
  return ["awk", writer(`n > ${count}`)];
}

/** The command of a container that writes for so many seconds, as fast as it is let. */
export function writeFor(seconds: number): string[] {
  return ["awk", writer(`n % 1000 == 0 && systime() - begun >= ${seconds}`)];
}
