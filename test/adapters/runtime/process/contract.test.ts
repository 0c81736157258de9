import { runtimeContract } from "../../../contracts/runtime.ts";
import { PROCESS_FACTS, processHarness } from "./harness.ts";

runtimeContract("process", PROCESS_FACTS, processHarness);
