/** Decoding of base64 without what only one platform has. */
import { parseError } from './page-content.ts'

/** The bytes of one unit. CR and LF inside it do not count. Throws `PARSE_ERROR` for anything that is not base64. */
export function decodeBase64(text: string): Uint8Array {
  const unit = text.replace(/[\r\n]/g, '')
  if (unit.length % 4 !== 0) throw parseError('The length of base64 data is not a multiple of 4', unit)
  let binary: string
  try {
    binary = atob(unit)
  } catch {
    throw parseError('The data is not base64', unit)
  }
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
