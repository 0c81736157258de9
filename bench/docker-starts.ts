import type Docker from "dockerode";

/** Looks on as Docker starts containers, whoever asks it to. */
export interface Starts extends AsyncDisposable {
  /** Resolves with the labels, and the name, of the next so many containers that are started and match. */
  next(count: number, matches: (labels: Record<string, string>) => boolean): Promise<Record<string, string>[]>;
}

/** Begins to look on, over one connection to the engine. */
export async function watchStarts(docker: Docker): Promise<Starts> {
  const filters = JSON.stringify({ type: ["container"], event: ["start"] });
  const stream = (await docker.getEvents({ filters })) as NodeJS.ReadableStream & { destroy(): void };
  const listeners = new Set<(labels: Record<string, string>) => void>();
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (text + chunk.toString("utf8")).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines.filter((one) => one.trim() !== "")) {
      const { Actor } = JSON.parse(line) as { Actor: { Attributes: Record<string, string> } };
      for (const listener of listeners) listener(Actor.Attributes);
    }
  });
  return {
    next(count, matches) {
      const { promise, resolve } = Promise.withResolvers<Record<string, string>[]>();
      const seen: Record<string, string>[] = [];
      const listener = (labels: Record<string, string>) => {
        if (!matches(labels)) return;
        if (seen.push(labels) < count) return;
        listeners.delete(listener);
        resolve(seen);
      };
      listeners.add(listener);
      return promise;
    },
    async [Symbol.asyncDispose]() {
      stream.destroy();
    },
  };
}
