/** Every bound of the protocol layer, in one place. The engine's own bounds are in its `limits.ts`. */
export const PROTOCOL_LIMITS = {
  /** Longest canonical stream path, in bytes. */
  maxPathBytes: 1024,
  /** Longest request target accepted before it is parsed, in bytes. */
  maxTargetBytes: 8192,
  /** Longest `Content-Type` that is stored and echoed, in bytes. */
  maxContentTypeBytes: 256,
  /** Longest `Producer-Id`, in bytes. */
  maxProducerIdBytes: 256,
  /** Longest `Stream-Seq`, in bytes. */
  maxStreamSeqBytes: 256,
  /** Producers remembered per stream. */
  maxProducers: 10_000,
  /** Deepest nesting of arrays and objects in a JSON body. */
  maxJsonDepth: 512,
  /** Longest chain of forks of forks. */
  maxForkDepth: 64,
  /** Largest position an offset can carry; larger numbers name no byte. */
  maxPosition: 9_007_199_254_740_991,
} as const
