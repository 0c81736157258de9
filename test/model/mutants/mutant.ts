/** A deliberately broken engine: one text in one file is another one. */
export interface Mutant {
  /** Kebab case; `npm run model -- --mutant NAME`. */
  name: string;
  /** What it does wrong. */
  breaks: string;
  /** From the root of the repository. */
  file: string;
  /** Must be found exactly once. */
  search: string;
  replace: string;
}
