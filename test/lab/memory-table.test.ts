import { tableContract } from "../contracts/table.ts";
import { createMemoryTable } from "./memory-table.ts";

tableContract("memory", async () => createMemoryTable());
