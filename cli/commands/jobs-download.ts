import type { Artifact } from "../../sdk/types.ts";
import { command } from "../command.ts";
import { BrokenPipe, type Cli, UsageError } from "../context.ts";
import { createDownloadBar, decoded } from "../download.ts";
import { EXIT } from "../exit-codes.ts";
import { failureOf } from "../failure.ts";
import { localParts, saveFile } from "../save-file.ts";
import { plain } from "../table.ts";

export const jobsDownload = command({
  name: "longshore jobs download",
  description: "Save files that a job left; without names all of them",
  args: {
    id: { type: "positional", description: "The job's id" },
    "name…": {
      type: "positional",
      multiple: true,
      required: false,
      description: "Names of files, as jobs artifacts shows",
    },
    output: { type: "string", alias: "o", valueHint: "dir", description: "Where to save them; default: here" },
    force: { type: "boolean", description: "Replace files that are there" },
  },
  async run(cli, { flags, words: [jobId = "", ...names] }) {
    const { items } = await cli.home.client.jobs.artifacts(jobId);
    const wanted = names.length === 0 ? items : names.map((name) => named(items, name));
    const directory = flags.output ?? ".";
    const bar = createDownloadBar(cli, wanted);
    let failures = 0;
    try {
      for (const artifact of wanted) {
        try {
          const parts = localParts(artifact.name, process.platform);
          const onReconnect = (error: Error) => void bar.note(`connection lost (${error.message}); trying again`);
          const bytes = cli.home.client.jobs.download(jobId, artifact, { onReconnect });
          const saved = await saveFile({ directory, parts, force: flags.force }, decoded(artifact, bar.counted(bytes)));
          await told(cli, bar, { artifact, saved });
        } catch (thrown) {
          if (thrown instanceof BrokenPipe) throw thrown;
          failures += 1;
          const failure = failureOf(thrown);
          const { name } = artifact;
          const text = cli.json
            ? JSON.stringify({ name, ...failure.document })
            : `longshore: ${plain(name)}: ${failure.lines.join("\n")}`;
          await bar.note(text);
        }
      }
    } finally {
      bar.clear();
    }
    if (wanted.length === 0 && !cli.json) await cli.note("no files were kept");
    return failures > 0 ? EXIT.failed : EXIT.ok;
  },
});

function named(items: readonly Artifact[], name: string): Artifact {
  const found = items.find((one) => one.name === name);
  if (found === undefined) throw new UsageError(`the job kept no file ${JSON.stringify(name)}; see jobs artifacts`);
  return found;
}

async function told(
  cli: Cli,
  bar: { clear(): void },
  { artifact, saved }: { artifact: Artifact; saved: string },
): Promise<void> {
  bar.clear();
  const { name, sizeBytes, sha256 } = artifact;
  await cli.print(cli.json ? JSON.stringify({ name, file: saved, sizeBytes, sha256 }) : plain(saved));
}
