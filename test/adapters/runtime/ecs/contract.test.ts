import { runtimeContract } from "../../../contracts/runtime.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { ECS_FACTS, ecsHarness } from "./harness.ts";

describeWith("aws", "ecs", () => {
  runtimeContract("ecs on moto", ECS_FACTS, () => ecsHarness("contract"));
});
