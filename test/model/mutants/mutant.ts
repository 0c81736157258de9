/** A deliberately broken engine: one text in its sources is another one. */
export interface Mutant {
  /** Kebab case; `npm run model -- --mutant NAME`. */
  name: string;
  /** What it does wrong. */
  breaks: string;
  /** Must be found exactly once in all sources of the engine, wherever that is. */
  search: string;
  replace: string;
}
