import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { type BuildOptions, buildSync } from "esbuild";
import { bundleOptions } from "../../infra/bundle.ts";

/** One bundle in a directory of its own. */
export interface Made {
  name: string;
  /** The module that Lambda would load. */
  file: string;
  /** What Lambda unpacks of it, without the source maps, and the same deflated as in an archive, bytes. */
  bytes: number;
  zippedBytes: number;
  /** What is loaded with the handler: the module and what it imports at once, bytes. */
  loadedBytes: number;
}

const ENTRIES = new URL("../../functions/aws/entries/", import.meta.url);

/** The names of the deployed functions' entries. */
export function entryNames(): string[] {
  return readdirSync(ENTRIES).map((file) => file.replace(/\.ts$/, ""));
}

/** Makes the bundle of an entry as it is deployed, for an operator's runtimes. */
export function makeBundle(name: string, runtimes: readonly string[], folder: string): Made {
  return make(name, bundleOptions(name, runtimes), folder);
}

/** Makes a bundle of a module of one's own, in the same way. */
export function makeReference(name: string, source: string, folder: string): Made {
  const { entryPoints: _, ...options } = bundleOptions(name, []);
  const stdin = { contents: source, resolveDir: new URL(".", import.meta.url).pathname, sourcefile: `${name}.ts` };
  return make(name, { ...options, stdin, entryNames: name }, folder);
}

function make(name: string, options: BuildOptions, folder: string): Made {
  const outdir = join(folder, name);
  mkdirSync(outdir, { recursive: true });
  const { metafile } = buildSync({ ...options, outdir, metafile: true });
  const codes = readdirSync(outdir).filter((file) => file.endsWith(".mjs"));
  const outputs = Object.entries(metafile?.outputs ?? {}).filter(([path]) => path.endsWith(".mjs"));
  const sizes = new Map(outputs.map(([path, output]) => [path.split("/").at(-1) ?? "", output]));
  const loaded = new Set<string>();
  const load = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const { path, kind } of sizes.get(file)?.imports ?? []) {
      if (kind === "import-statement") load(path.split("/").at(-1) ?? "");
    }
  };
  load(`${name}.mjs`);
  const sum = (files: Iterable<string>, size: (path: string) => number) =>
    [...files].reduce((all, file) => all + size(join(outdir, file)), 0);
  return {
    name,
    file: join(outdir, `${name}.mjs`),
    bytes: sum(codes, (path) => statSync(path).size),
    zippedBytes: sum(codes, (path) => deflateRawSync(readFileSync(path)).length),
    loadedBytes: sum(
      [...loaded].filter((file) => sizes.has(file)),
      (path) => statSync(path).size,
    ),
  };
}
