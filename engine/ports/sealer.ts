/** Encrypts what must rest. `context` (the job's id) is bound to the ciphertext: another context cannot open it. */
export interface Sealer {
  seal(plain: Uint8Array, context: string): Promise<Uint8Array>;
  /** @throws LongshoreError UNKNOWN when the bytes were altered, cut, or sealed for another context or under another key. */
  open(sealed: Uint8Array, context: string): Promise<Uint8Array>;
  /** A keyed hash, hex: equal inputs give equal digests, and nobody without the key can guess one. */
  digest(data: Uint8Array, context: string): Promise<string>;
}
