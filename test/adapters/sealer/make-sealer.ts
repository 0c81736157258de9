import { createKeyfileSealer } from "../../../adapters/sealer/keyfile.ts";

// Prints what this process's sealer makes of one text: equal lines mean equal keys.
const [file = ""] = process.argv.slice(2);
const sealer = await createKeyfileSealer({ file });
process.stdout.write(`${await sealer.digest(Buffer.from("text"), "context")}\n`);
