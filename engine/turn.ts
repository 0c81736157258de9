/** Lets everything else that waits have its turn: a table that answers at once would keep it waiting through a long loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
