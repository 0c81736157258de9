/** What a task is paid for: CPU units (1,024 a vCPU) and MiB. */
export interface Size {
  cpu: number;
  memoryMiB: number;
}

interface Row {
  cpu: number;
  from: number;
  to: number;
  step: number;
}

const GIB = 1024;

/**
 * What Fargate offers: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
 * The smallest row begins with half a GiB and goes on in whole ones.
 */
const ROWS: readonly Row[] = [
  { cpu: 256, from: 512, to: 2 * GIB, step: GIB },
  { cpu: 512, from: GIB, to: 4 * GIB, step: GIB },
  { cpu: 1024, from: 2 * GIB, to: 8 * GIB, step: GIB },
  { cpu: 2048, from: 4 * GIB, to: 16 * GIB, step: GIB },
  { cpu: 4096, from: 8 * GIB, to: 30 * GIB, step: GIB },
  { cpu: 8192, from: 16 * GIB, to: 60 * GIB, step: 4 * GIB },
  { cpu: 16384, from: 32 * GIB, to: 120 * GIB, step: 8 * GIB },
];

export const FARGATE_MAX = { cpu: 16, memoryMiB: 120 * GIB };

/** What a spec gets that asks for nothing: the smallest of Fargate's. */
const LEAST: Size = { cpu: 256, memoryMiB: 512 };

/**
 * The smallest size of Fargate's with so many CPUs and MiB at least; undefined when there is none.
 */
export function fargateSize(asked: { cpu?: number | undefined; memoryMiB?: number | undefined }): Size | undefined {
  const cpu = (asked.cpu ?? 0) * 1024;
  const memoryMiB = asked.memoryMiB ?? 0;
  for (const row of ROWS) {
    if (row.cpu < cpu || row.to < memoryMiB) continue;
    if (memoryMiB <= row.from) return { cpu: row.cpu, memoryMiB: row.from };
    return { cpu: row.cpu, memoryMiB: Math.ceil(memoryMiB / row.step) * row.step };
  }
  return undefined;
}

/** What a task on an instance of one's own reserves: what was asked for, and Fargate's smallest of what was not. */
export function ownSize(asked: { cpu?: number | undefined; memoryMiB?: number | undefined }): Size {
  return {
    // Fewer than 128 units are refused for a task.
    cpu: asked.cpu === undefined ? LEAST.cpu : Math.max(128, Math.ceil(asked.cpu * 1024)),
    memoryMiB: asked.memoryMiB ?? LEAST.memoryMiB,
  };
}
