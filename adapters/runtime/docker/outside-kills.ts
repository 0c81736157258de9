import type { ExternalRef } from "../../../engine/ports/runtime.ts";

/**
 * An engine that is stopped first kills its containers, all at once, reports that as it reports any other kill, and
 * only then goes away: when nothing was killed for this long and it is still there, somebody else had killed them.
 */
const QUIET_MS = 3_000;
/** The daemon itself gives its containers 15 s; one that ignores its signal must not hold up the rest for ever. */
const MAX_HOLD_MS = 20_000;
const FATAL_SIGNALS = ["9", "15"];
const FATAL_EXIT_CODES = ["137", "143"];

/** Whose ends by a kill are not yet known to be the engine's own doing or somebody's intent. */
export interface OutsideKills {
  killed(ref: ExternalRef, signal: string): void;
  /** True when the end counts as undecided from now on. */
  died(ref: ExternalRef, exitCode: string): boolean;
  isUndecided(ref: ExternalRef): boolean;
  /** The engine went away: hands over those that it killed, and begins anew. */
  takeUndecided(): ExternalRef[];
  forget(ref: ExternalRef): void;
}

/** `onIntent`: the engine stayed, so somebody had meant to end these. */
export function createOutsideKills(onIntent: (refs: ExternalRef[]) => void): OutsideKills {
  const dying = new Set<ExternalRef>();
  const undecided = new Set<ExternalRef>();
  let quiet: NodeJS.Timeout | undefined;
  let longest: NodeJS.Timeout | undefined;

  const take = (): ExternalRef[] => {
    clearTimeout(quiet);
    clearTimeout(longest);
    quiet = undefined;
    longest = undefined;
    const taken = [...undecided];
    undecided.clear();
    dying.clear();
    return taken;
  };
  const decide = () => onIntent(take());
  const again = (): void => {
    clearTimeout(quiet);
    if (undecided.size === 0) return;
    longest ??= setTimeout(decide, MAX_HOLD_MS);
    quiet = dying.size > 0 ? undefined : setTimeout(decide, QUIET_MS);
  };

  return {
    killed(ref, signal) {
      if (!FATAL_SIGNALS.includes(signal)) return;
      dying.add(ref);
      again();
    },
    died(ref, exitCode) {
      const held = dying.delete(ref) && FATAL_EXIT_CODES.includes(exitCode);
      if (held) undecided.add(ref);
      again();
      return held;
    },
    isUndecided: (ref) => undecided.has(ref),
    takeUndecided: take,
    forget(ref) {
      undecided.delete(ref);
    },
  };
}
