import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";
import { parseRequired } from "./counterparts.ts";
import { leftContainers, localLeaks, RUN_DIR } from "./leaks.ts";

/** A suite that was left out. */
interface Skip {
  title: string;
  reason: string;
  tests: number;
}

/** Scenarios that are for one home. */
interface OneHome {
  title: string;
  home: string;
  reason: string;
  tests: number;
}

/**
 * Ends a run: prints which suites were left out and why, which scenarios are for one home only and why, what the tests left behind, and as the very last line the
 * count, `N passed, N failed` and, when there are any, `, N skipped`. A leak, a file that could not be loaded and an
 * error outside of all tests count as failures.
 */
export default function createReporter(): Reporter {
  let startedMs = Date.now();
  return {
    onTestRunStart() {
      startedMs = Date.now();
    },
    async onTestRunEnd(modules, unhandled) {
      const tests = modules.flatMap((module) => [...module.children.allTests()]);
      const count = (state: string) => tests.filter((test) => test.result().state === state).length;
      printSkips(modules.flatMap(skipsOf));
      printOneHome(modules.flatMap(oneHomeOf));
      const leaks = await findLeaks(startedMs);
      for (const leak of leaks) console.error(`left behind: ${leak}`);
      const failed = count("failed") + brokenModules(modules) + unhandled.length + leaks.length;
      // Vitest knows of tests only; the run fails for the rest too.
      if (failed > 0) process.exitCode = 1;
      const skipped = count("skipped");
      console.log(`${count("passed")} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    },
  };
}

function printSkips(skips: Skip[]): void {
  if (skips.length === 0) return;
  console.log("\nNot run:");
  for (const { title, reason, tests } of skips)
    console.log(`  ${title}: ${tests === 1 ? "1 test" : `${tests} tests`} (${reason})`);
}

function printOneHome(suites: OneHome[]): void {
  if (suites.length === 0) return;
  console.log("\nScenarios of one home only:");
  for (const { title, home, reason, tests } of suites) {
    console.log(`  ${home}: ${title}: ${tests === 1 ? "1 test" : `${tests} tests`} (${reason})`);
  }
}

function oneHomeOf(module: TestModule): OneHome[] {
  return [...module.children.allSuites()].flatMap((suite) => {
    const only = suite.meta().onlyHome;
    if (only === undefined) return [];
    return [
      {
        ...only,
        title: `${module.relativeModuleId} > ${suite.parent.type === "suite" ? suite.parent.fullName : ""}`.replace(
          / > $/,
          "",
        ),
        tests: size(suite),
      },
    ];
  });
}

function skipsOf(module: TestModule): Skip[] {
  const suites = [...module.children.allSuites()];
  const declared = suites.flatMap((suite) => {
    const reason = suite.meta().skipReason;
    return reason ? [{ title: `${module.relativeModuleId} > ${suite.fullName}`, reason, tests: size(suite) }] : [];
  });
  const single = [...module.children.allTests("skipped")].filter(({ parent }) => !isDeclared(parent));
  return [
    ...declared,
    ...single.map((test) => ({
      title: `${module.relativeModuleId} > ${test.fullName}`,
      reason: reasonOf(test),
      tests: 1,
    })),
  ];
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  const said = test.meta().skipReason ?? (result.state === "skipped" ? result.note : undefined);
  return said ?? (isBroken(test.parent) ? "its suite could not be set up" : "no reason given");
}

function isBroken(parent: TestSuite | TestModule): boolean {
  return parent.errors().length > 0 || (parent.type === "suite" && isBroken(parent.parent));
}

function isDeclared(parent: TestSuite | TestModule): boolean {
  return parent.type === "suite" && (parent.meta().skipReason !== undefined || isDeclared(parent.parent));
}

function size(suite: TestSuite): number {
  return [...suite.children.allTests()].length;
}

/** Files and suites that failed outside of their tests: at load, or in a hook. */
function brokenModules(modules: readonly TestModule[]): number {
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  return suites.filter((suite) => suite.errors().length > 0).length;
}

async function findLeaks(sinceMs: number): Promise<string[]> {
  const runDir = process.env[RUN_DIR];
  const local = runDir ? await localLeaks(runDir) : [];
  const containers = await leftContainers(sinceMs);
  if (parseRequired(process.env.LONGSHORE_REQUIRE).includes("docker")) return [...local, ...containers];
  // Without the requirement the engine may be shared with other runs, whose containers come and go.
  for (const container of containers) console.log(`made during this run, perhaps by another: ${container}`);
  return local;
}
