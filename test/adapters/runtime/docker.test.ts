import { afterAll, expect } from "vitest";
import { createDockerRuntime } from "../../../adapters/runtime/docker/index.ts";
import { runtimeContract } from "../../contracts/runtime.ts";
import { describeWith } from "../../lab/counterparts.ts";
import { BUSYBOX_IMAGE, ensureBusybox, leftContainers, leftovers } from "../../lab/docker.ts";

const homes = new Set<string>();

describeWith("docker", "docker", () => {
  runtimeContract(
    "docker",
    {
      image: BUSYBOX_IMAGE,
      cannot: [
        {
          reason: "the container's first process is an init, whose start succeeds: a bad command exits 127 or 126",
          tests: ["refuses a command that cannot be started, and cleanup leaves nothing of it"],
        },
      ],
    },
    async () => {
      await ensureBusybox();
      return {
        adapter: (homeId) => {
          homes.add(homeId);
          return createDockerRuntime({ homeId, allowedMounts: [] });
        },
        leftovers: async (homeId) => await leftContainers(homeId),
        dispose: async () => undefined,
      };
    },
  );

  afterAll(async () => {
    for (const homeId of homes) expect(await leftovers(homeId)).toEqual([]);
  });
});
