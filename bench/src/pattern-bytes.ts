/** Bytes without a pattern that a lost or doubled piece would leave intact; the same in every run. */
export function patternBytes(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  let state = Math.imul(seed, 2_654_435_761) | 1
  for (let position = 0; position + 4 <= sizeBytes; position += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes.writeInt32LE(state, position)
  }
  return bytes
}
