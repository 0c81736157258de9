import { describe, expect, it } from "vitest";
import { type ContainerStats, usageOf } from "../../../../adapters/runtime/docker/usage.ts";

const V1: ContainerStats = {
  cpu_stats: { cpu_usage: { total_usage: 1_500_000_000 } },
  memory_stats: { usage: 1000, max_usage: 3000, stats: { total_inactive_file: 300, inactive_file: 1 } },
  networks: { eth0: { rx_bytes: 10, tx_bytes: 20 }, eth1: { rx_bytes: 1, tx_bytes: 2 } },
  blkio_stats: {
    io_service_bytes_recursive: [
      { op: "Read", value: 5 },
      { op: "Write", value: 6 },
      { op: "Read", value: 50 },
      { op: "Total", value: 61 },
    ],
  },
};

describe("what the engine tells of a container", () => {
  it("is read as cgroup v1 has it", () => {
    expect(usageOf(V1)).toEqual({
      cpuSeconds: 1.5,
      memoryBytes: 700,
      memoryPeakBytes: 3000,
      networkReceivedBytes: 11,
      networkSentBytes: 22,
      diskReadBytes: 55,
      diskWrittenBytes: 6,
    });
  });

  it("is read as cgroup v2 has it", () => {
    const stats: ContainerStats = {
      ...V1,
      memory_stats: { usage: 1000, stats: { inactive_file: 400 } },
      blkio_stats: { io_service_bytes_recursive: [{ op: "read", value: 7 }] },
    };
    expect(usageOf(stats)).toMatchObject({
      memoryBytes: 600,
      memoryPeakBytes: null,
      diskReadBytes: 7,
      diskWrittenBytes: 0,
    });
  });

  it("is not made up where it tells nothing", () => {
    const { networks: _, ...without } = V1;
    expect(usageOf({ ...without, blkio_stats: { io_service_bytes_recursive: null } })).toMatchObject({
      networkReceivedBytes: 0,
      networkSentBytes: 0,
      diskReadBytes: null,
      diskWrittenBytes: null,
    });
    // More cache than it uses: the two numbers were not read at one moment.
    expect(usageOf({ ...V1, memory_stats: { usage: 10, stats: { inactive_file: 20 } } })?.memoryBytes).toBe(10);
    // As of a container that does not run.
    expect(usageOf({ cpu_stats: { cpu_usage: { total_usage: 0 } }, memory_stats: {} })).toBeUndefined();
    expect(usageOf({})).toBeUndefined();
  });
});
