/** The reason with which a launch is aborted when this process ends: nothing is undone or recorded; the next start goes on. */
export const SHUTDOWN = Symbol("shutdown");
/** The reason with which a launch is aborted because its job is to be stopped. */
export const CANCELLED = Symbol("cancelled");
