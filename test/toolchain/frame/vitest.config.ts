import { defineConfig } from "vitest/config";
import base from "../../../vitest.config.ts";

/** The repository's own settings, for the samples beside this file, which the frame's test runs one at a time. */
export default defineConfig({ test: { ...base.test, include: ["test/toolchain/frame/*.sample.ts"] } });
