import { LEDGER_MUTANTS } from "./ledger.ts";
import { LIFECYCLE_MUTANTS } from "./lifecycle.ts";
import type { Mutant } from "./mutant.ts";
import { OPERATION_MUTANTS } from "./operations.ts";

/** Every broken engine that the model has to catch, but for one at most. */
export const MUTANTS: readonly Mutant[] = [...LIFECYCLE_MUTANTS, ...LEDGER_MUTANTS, ...OPERATION_MUTANTS];
