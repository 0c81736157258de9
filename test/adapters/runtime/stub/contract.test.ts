import { runtimeContract } from "../../../contracts/runtime.ts";
import { STUB_FACTS, stubHarness } from "./facts.ts";

runtimeContract("stub", STUB_FACTS, stubHarness);
