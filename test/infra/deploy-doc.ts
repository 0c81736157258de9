import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The page for operators, taken apart. */
export interface DeployDoc {
  text: string;
  /** Its headings by their level, such as 4 for `####`. */
  headings(level: number): string[];
  /** What stands in code blocks of a language. */
  blocks(language: string): string[];
  /** Every shell command in it, in blocks and in the text, without comments. */
  commands: string[];
  /** The cells of the table whose first heading is this, row by row. */
  table(heading: string): string[][];
  /** Links to places in the page itself. */
  links: string[];
  /** The places that can be linked to. */
  anchors: Set<string>;
}

const PLACE = join(import.meta.dirname, "../../docs/deploy.md");

/** Reads `docs/deploy.md`. */
export async function readDeployDoc(): Promise<DeployDoc> {
  const text = await readFile(PLACE, "utf8");
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "");
  const blocks = (language: string) =>
    [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, of, block = ""]) =>
      of === language ? [block] : [],
    );
  const headings = [...prose.matchAll(/^(#+) (.+)$/gm)].map(([, marks = "", title = ""]) => ({
    level: marks.length,
    title,
  }));
  const lines = blocks("sh").flatMap((block) => block.split("\n"));
  const inline = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return {
    text,
    headings: (level) => headings.filter((one) => one.level === level).map(({ title }) => title),
    blocks,
    commands: [...lines, ...inline].map((line) => line.replace(/\s+#.*$/, "").trim()).filter((line) => line !== ""),
    table(heading) {
      const [, body = ""] = text.split(new RegExp(`^\\| ${heading} \\|.*\\n\\|[-|]+\\n`, "m"));
      const rows = body.slice(0, body.search(/^(?!\|)/m)).split("\n");
      return rows.filter(Boolean).map((row) =>
        row
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    },
    links: [...prose.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = ""]) => anchor),
    anchors: new Set(headings.map(({ title }) => anchorOf(title))),
  };
}

/** As GitHub makes a place of a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}
