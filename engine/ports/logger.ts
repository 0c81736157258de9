/** Longshore's own log: a message and its fields. It never gets a spec, an environment or a secret value. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
