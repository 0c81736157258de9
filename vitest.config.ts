import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/lab/global-setup.ts",
    reporters: ["default", "./test/lab/reporter.ts"],
    // Forks, not threads: tests start supervisors and send signals, which are a process's own.
    pool: "forks",
    maxWorkers: 2,
    // The slowest honest thing in one test is a real container's life, about half a second, a few times over.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    unstubEnvs: true,
  },
});
