import { posix } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

/** What the adapters of one provider share; no adapter itself, so it has no contract and knows no adapter. */
const SHARED = "adapters/aws";

/** How a module is reached: `value` at load, `dynamic` when it is needed, `type` only for the compiler. */
type ImportKind = "value" | "dynamic" | "type";

/** One import of a source; `specifier` is null when it is computed and nobody can tell where it leads. */
export interface Import {
  specifier: string | null;
  kind: ImportKind;
}

/** What a zone of the tree may import: zones and packages, each with the kinds that are allowed. */
interface Rule {
  zones: Record<string, readonly ImportKind[]>;
  /** The only packages and Node modules allowed; default: any that no other rule keeps for itself. */
  packages?: readonly string[];
}

const ANY: readonly ImportKind[] = ["value", "dynamic", "type"];

const RULES: Record<string, Rule> = {
  engine: {
    zones: { engine: ANY },
    packages: ["zod", "ulid", "canonicalize", "mime", "minimatch", "node:crypto", "node:buffer", "node:util"],
  },
  // An adapter's own folder and what adapters share are let through in `objection`; every other adapter is a sibling.
  adapters: { zones: { engine: ANY } },
  functions: { zones: { engine: ANY, adapters: ANY, functions: ANY } },
  local: { zones: { engine: ANY, adapters: ANY, functions: ANY, local: ANY } },
  sdk: { zones: { sdk: ANY, engine: ["type"] } },
  cli: { zones: { cli: ANY, sdk: ANY, engine: ["type"], local: ["dynamic", "type"] } },
  infra: { zones: { infra: ANY } },
  // The figures are taken on the counterparts of the tests: they are made in one place.
  bench: {
    zones: { engine: ANY, adapters: ANY, functions: ANY, local: ANY, cli: ANY, sdk: ANY, bench: ANY, test: ANY },
  },
  test: {
    zones: {
      engine: ANY,
      adapters: ANY,
      functions: ANY,
      local: ANY,
      cli: ANY,
      sdk: ANY,
      infra: ANY,
      test: ANY,
      ".": ANY,
    },
  },
  // Files beside package.json: settings of tools, which name what they need by path.
  ".": { zones: {} },
};

/** Packages that belong to some zones only. Tests may use what they test. */
const KEPT: readonly { packages: RegExp; zones: readonly string[] }[] = [
  {
    packages: /^(aws-cdk-lib|aws-cdk|constructs|cdk-nag|@aws-cdk\/.*|@aws-solutions-constructs\/.*)$/,
    zones: ["infra"],
  },
  // The client signs what it sends to AWS; it loads these only then (test/sdk/lazy.test.ts).
  { packages: /^(@aws-sdk\/credential-providers|@smithy\/signature-v4)$/, zones: ["adapters", "sdk"] },
  { packages: /^(@aws-sdk|@smithy)\//, zones: ["adapters"] },
];

/**
 * Tells what a source imports against the direction of the tree, one sentence for each; `file` is its path from the
 * root of the repository, with slashes. The rules stand here and not in a linter's settings because they go by where a
 * specifier leads and by how it is imported, which Biome's `noRestrictedImports` cannot see.
 * @throws Error when the source cannot be parsed.
 */
export function violations(file: string, source: string): string[] {
  const zone = zoneOf(file);
  const rule = RULES[zone];
  if (!rule) return [`${file}: no rule says what ${zone}/ may import`];
  return importsOf(file, source)
    .map((found) => objection(file, rule, found))
    .filter((text) => text !== null)
    .map((text) => `${file}: ${text}`);
}

function objection(file: string, rule: Rule, { specifier, kind }: Import): string | null {
  const zone = zoneOf(file);
  if (specifier === null) {
    return zone === "test" ? null : "a computed import hides from the import rules where it leads";
  }
  if (!specifier.startsWith(".")) return packageObjection(zone, rule, specifier);
  const target = posix.normalize(posix.join(posix.dirname(file), specifier));
  if (target.startsWith("../")) return `${specifier} leads out of the repository`;
  const targetZone = zoneOf(target);
  if (zone === "adapters" && targetZone === "adapters") {
    if (isShared(target)) return null;
    if (isShared(file)) return `what adapters share never imports one (${target})`;
    return unitOf(file) === unitOf(target) ? null : `an adapter never imports a sibling (${target})`;
  }
  const allowed = rule.zones[targetZone];
  if (!allowed) return `${zone} never imports ${targetZone} (${target})`;
  if (allowed.includes(kind)) return null;
  return `${zone} imports ${targetZone} by ${allowed.join(" or ")} import only (${target})`;
}

function packageObjection(zone: string, rule: Rule, specifier: string): string | null {
  const name = packageOf(specifier);
  if (rule.packages && !rule.packages.includes(name)) return `${zone} never imports ${name}`;
  const keeper = zone === "test" ? undefined : KEPT.find(({ packages }) => packages.test(name));
  if (!keeper || keeper.zones.includes(zone)) return null;
  return `${name} is for ${keeper.zones.join(", ")} only`;
}

/** Every import, re-export and import type of a source. @throws Error when it cannot be parsed. */
export function importsOf(file: string, source: string): Import[] {
  const { program, errors } = parseSync(file, source);
  if (errors[0]) throw new Error(`${file}: ${errors[0].message}`);
  const found: Import[] = [];
  const declared = (node: { source: { value: string } | null }, kind: string | undefined) => {
    if (node.source) found.push({ specifier: node.source.value, kind: kind === "type" ? "type" : "value" });
  };
  new Visitor({
    ImportDeclaration: (node) => declared(node, node.importKind),
    ExportNamedDeclaration: (node) => declared(node, node.exportKind),
    ExportAllDeclaration: (node) => declared(node, node.exportKind),
    TSImportType: (node) => declared(node, "type"),
    ImportExpression: ({ source: { type, ...literal } }) => {
      const value = type === "Literal" && "value" in literal ? literal.value : null;
      found.push({ specifier: typeof value === "string" ? value : null, kind: "dynamic" });
    },
  }).visit(program);
  return found;
}

function zoneOf(path: string): string {
  const slash = path.indexOf("/");
  return slash === -1 ? "." : path.slice(0, slash);
}

/** An adapter is `adapters/<port>/<name>`: a folder with all that it holds, or one file. */
export function unitOf(path: string): string {
  return path.split("/").slice(0, 3).join("/").replace(/\.ts$/, "");
}

/** Whether a file is one of those that several adapters share. */
export function isShared(path: string): boolean {
  return path.startsWith(`${SHARED}/`);
}

function packageOf(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
