const OLDEST_MAJOR = 24;

/** What to tell the user of a Node that is too old to run Longshore, in one line; null for one that will do. */
export function refuseNode(version: string): string | null {
  const major = Number.parseInt(version, 10);
  return major >= OLDEST_MAJOR ? null : `longshore needs Node ${OLDEST_MAJOR} or newer, but this is Node ${version}`;
}
