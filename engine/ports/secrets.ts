/**
 * One source of secret values, named by its scheme: `env:NAME`, `file:/path`, `ssm:/name` …
 * Longshore never stores what it resolves.
 */
export interface SecretSource {
  readonly scheme: string;
  /**
   * The value behind the part after the scheme.
   * @throws LongshoreError NOT_FOUND when there is none, AUTH when the operator does not allow it.
   */
  resolve(name: string): Promise<string>;
}
