/** The present, as milliseconds since the epoch. The engine never reads the machine's clock itself. */
export type Clock = () => number;
