import { CrashError } from "./faulty-table.ts";

export interface Crash {
  /** The port with every method counted, and failing when it is its turn. */
  wrap<T extends object>(port: T): T;
  /** Calls so far since the last `at` or `revive`, over all wrapped ports. */
  calls(): string[];
  /** The n-th call from now on (counted from 1) is not made, or is made and its answer lost; all later ones fail too. */
  at(n: number, when: "before" | "after"): void;
  /** A successor of the dead process works with the same ports. */
  revive(): void;
}

/** Lets a process die at any call that it makes to the world outside of it. */
export function createCrash(): Crash {
  let calls: string[] = [];
  let fault: { n: number; when: "before" | "after" } | undefined;
  let dead = false;

  function assertAlive(): void {
    if (dead) throw new CrashError("the process is dead");
  }

  function strikes(when: "before" | "after", call: number): void {
    if (fault?.n !== call || fault.when !== when) return;
    dead = true;
    throw new CrashError(`the process died ${when} call ${call}: ${calls[call - 1]}`);
  }

  /** A method of a port that gives a promise is counted, and so is one that streams; what is at hand is not. */
  function struck(target: object, name: string, method: (...args: unknown[]) => unknown) {
    return (...args: unknown[]): unknown => {
      assertAlive();
      const call = calls.push(name);
      strikes("before", call);
      const answer = method.apply(target, args);
      if (answer instanceof Promise) {
        return answer.then((value) => {
          strikes("after", call);
          assertAlive();
          return value;
        });
      }
      strikes("after", call);
      return answer;
    };
  }

  return {
    wrap<T extends object>(port: T): T {
      return new Proxy(port, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== "function" || typeof name !== "string") return value;
          return struck(target, name, value as (...args: unknown[]) => unknown);
        },
      });
    },
    calls: () => calls,
    at(n, when) {
      calls = [];
      fault = { n, when };
    },
    revive() {
      calls = [];
      fault = undefined;
      dead = false;
    },
  };
}
