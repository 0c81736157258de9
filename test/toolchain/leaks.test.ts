import Docker from "dockerode";
import { expect, it, onTestFinished } from "vitest";
import { LABELS } from "../../engine/naming.ts";
import { describeWith } from "../lab/counterparts.ts";
import { ensureBusybox } from "../lab/docker.ts";
import { leftContainers } from "../lab/leaks.ts";

describeWith("docker", "containers that tests leave behind", () => {
  it("are those of a home that were made since", async () => {
    const client = new Docker();
    const Image = await ensureBusybox(client);
    const sinceMs = Date.now();
    const labelled = await client.createContainer({
      Image,
      Cmd: ["true"],
      Labels: { [LABELS.home]: "home_of_leaks_test" },
    });
    onTestFinished(() => labelled.remove({ force: true }));
    const plain = await client.createContainer({ Image, Cmd: ["true"] });
    onTestFinished(() => plain.remove({ force: true }));
    const name = async ({ id }: { id: string }) => (await client.getContainer(id).inspect()).Name;

    expect(await leftContainers(sinceMs)).toContain(`container ${await name(labelled)} (created)`);
    expect((await leftContainers(sinceMs)).join()).not.toContain(await name(plain));
    expect(await leftContainers(Date.now() + 60_000)).toEqual([]);
  });
});
