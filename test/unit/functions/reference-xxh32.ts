const P1 = 0x9e3779b1
const P2 = 0x85ebca77
const P3 = 0xc2b2ae3d
const P4 = 0x27d4eb2f
const P5 = 0x165667b1

const rotl = (x: number, by: number): number => (x << by) | (x >>> (32 - by))
const round = (acc: number, lane: number): number => Math.imul(rotl((acc + Math.imul(lane, P2)) | 0, 13), P1)

/** xxHash32 with seed 0, written from its specification: the second opinion on the hash that the package uses. */
export const referenceXxh32 = (text: string): number => {
  const bytes = Buffer.from(text)
  let at = 0
  let h = P5 | 0
  if (bytes.length >= 16) {
    let [a, b, c, d] = [(P1 + P2) | 0, P2 | 0, 0, -P1 | 0]
    for (; at + 16 <= bytes.length; at += 16) {
      a = round(a, bytes.readInt32LE(at))
      b = round(b, bytes.readInt32LE(at + 4))
      c = round(c, bytes.readInt32LE(at + 8))
      d = round(d, bytes.readInt32LE(at + 12))
    }
    h = (rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18)) | 0
  }
  h = (h + bytes.length) | 0
  for (; at + 4 <= bytes.length; at += 4) h = Math.imul(rotl((h + Math.imul(bytes.readInt32LE(at), P3)) | 0, 17), P4)
  for (; at < bytes.length; at += 1) h = Math.imul(rotl((h + Math.imul(bytes.readUInt8(at), P5)) | 0, 11), P1)
  h = Math.imul(h ^ (h >>> 15), P2)
  h = Math.imul(h ^ (h >>> 13), P3)
  return (h ^ (h >>> 16)) >>> 0
}
