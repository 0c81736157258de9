/** Open connections to readers that this process does not hold itself: it sends, and others carry. */
export interface Connections {
  /**
   * Sends a text; texts reach a reader in the order in which they were sent one after the other. False: he has gone, or is
   * not there yet.
   * @throws LongshoreError UNAVAILABLE when nobody can tell whether it arrived, INTERNAL when it was refused.
   */
  post(connectionId: string, text: string): Promise<boolean>;
  /** Ends a connection; one that has gone is no error. */
  close(connectionId: string): Promise<void>;
  /**
   * Has another invocation go on with a task; resolves when that is sure to begin, which may be while this one goes on.
   * @throws LongshoreError UNAVAILABLE or INTERNAL.
   */
  handOver(task: object): Promise<void>;
}
