import { resolve } from "node:path";
import { AssetHashType, DockerImage } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import { type BuildOptions, buildSync } from "esbuild";

const ROOT = resolve(import.meta.dirname, "..");

/** What a CommonJS package expects to be there; a bundle is an ES module, which has none of it. */
const BANNER = [
  `import { createRequire as longshoreRequire } from "node:module";`,
  `import { fileURLToPath as longshorePath } from "node:url";`,
  `const require = longshoreRequire(import.meta.url);`,
  `const __filename = longshorePath(import.meta.url);`,
  `const __dirname = longshorePath(new URL(".", import.meta.url));`,
].join("");

/** Native parts of ssh2, which does without them. */
const NATIVE = ["cpu-features", "*.node"];

/** Runtimes whose adapters bring much with them: they are in the code only where the operator offers them. */
const LARGE_RUNTIMES = ["docker", "ecs"];

interface Bundled {
  /** The handler's place in it, as Lambda names it. */
  handler: string;
  code: Code;
}

/** Makes the code of an entry for the operator's runtimes. */
export type Bundler = (name: string, runtimes: readonly string[]) => Bundled;

/**
 * The code of one function: `functions/aws/entries/<name>.ts` and all it needs, as ES modules with source maps. What is
 * imported dynamically stays in a file of its own, which is read only when it comes to that: the reason not to use
 * `NodejsFunction`, which makes one file of everything.
 */
export function bundle(name: string, runtimes: readonly string[]): Bundled {
  const code = Code.fromAsset(ROOT, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Never started: the bundle is made in this process.
      image: DockerImage.fromRegistry("none"),
      // The CDK takes bundles that are described alike for one and the same; functions in `local` it cannot compare.
      environment: { entry: name, runtimes: runtimes.join(",") },
      local: {
        tryBundle(outdir) {
          buildSync({ ...bundleOptions(name, runtimes), outdir });
          return true;
        },
      },
    },
  });
  return { handler: `${name}.handler`, code };
}

/** How esbuild makes the code of one function. */
export function bundleOptions(name: string, runtimes: readonly string[]): BuildOptions {
  const unwanted = LARGE_RUNTIMES.filter((name) => !runtimes.includes(name)).map(
    (name) => `*/adapters/runtime/${name}/index.ts`,
  );
  return {
    absWorkingDir: ROOT,
    entryPoints: { [name]: `functions/aws/entries/${name}.ts` },
    bundle: true,
    splitting: true,
    minify: true,
    keepNames: true,
    platform: "node",
    target: "node24",
    format: "esm",
    mainFields: ["module", "main"],
    sourcemap: true,
    sourcesContent: false,
    outExtension: { ".js": ".mjs" },
    banner: { js: BANNER },
    external: [...NATIVE, ...unwanted],
    // Of a dependency only what is used; what it runs when it is loaded stays.
    treeShaking: true,
    logLevel: "error",
  };
}
