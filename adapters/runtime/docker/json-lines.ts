import { StringDecoder } from "node:string_decoder";
import { LongshoreError } from "../../../engine/errors.ts";

/** The engine's messages are short; without a bound a broken peer could fill the memory. */
const MAX_MESSAGE_CHARACTERS = 1024 * 1024;

/**
 * The JSON values of a stream that holds one a line, as Docker's events and the progress of a pull do.
 * @throws LongshoreError RUNTIME_UNAVAILABLE for what is no JSON or too long; what the stream itself throws.
 */
export async function* readJsonLines<T>(
  source: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<T, void, undefined> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const chunk of source) {
    rest += typeof chunk === "string" ? chunk : decoder.write(chunk);
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_MESSAGE_CHARACTERS) throw garbled();
    for (const line of lines) if (line.trim() !== "") yield parse<T>(line);
  }
  if (rest.trim() !== "") yield parse<T>(rest);
}

function parse<T>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch {
    // The cause would repeat the engine's words unmasked.
    throw garbled();
  }
}

function garbled(): LongshoreError {
  return new LongshoreError("RUNTIME_UNAVAILABLE", "Docker's answer cannot be understood");
}
