import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";

/** A text in every form in which it might rest somewhere: raw, base64 at each of its three offsets, URL-encoded, hex. */
export function formsOf(value: string): Buffer[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    // The characters at the ends depend on the neighbours too.
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
  });
  const url = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  const hex = bytes.toString("hex");
  const texts = [value, encodeURIComponent(value), hex, hex.toUpperCase(), JSON.stringify(value).slice(1, -1)];
  return [...new Set([...texts, ...base64, ...url])].map((text) => Buffer.from(text));
}

/** The files under the directory that hold the text in one of its forms. */
export async function filesWith(directory: string, value: string): Promise<string[]> {
  const forms = formsOf(value);
  const found: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      // Removed since it was listed.
      if (error.code === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
    if (forms.some((form) => bytes.includes(form))) found.push(relative(directory, path));
  }
  return found;
}

/** Whether a text holds the value in one of its forms. */
export function holds(text: string | Buffer, value: string): boolean {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return formsOf(value).some((form) => bytes.includes(form));
}

export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
