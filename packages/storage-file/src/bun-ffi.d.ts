/** The part of Bun's foreign function interface that is used. */
declare module 'bun:ffi' {
  interface Signature {
    readonly args: readonly ('i32' | 'ptr')[]
    readonly returns: 'i32'
  }
  type Pointer = number & { readonly __pointer__: null }
  /** Throws if there is no such library or function. */
  export function dlopen<const Names extends string>(
    path: string,
    functions: Readonly<Record<Names, Signature>>,
  ): { readonly symbols: Readonly<Record<Names, (...args: readonly (number | Pointer)[]) => number>> }
  /** The address of bytes; they have to stay reachable while it is used. */
  export function ptr(bytes: Uint8Array): Pointer
}
