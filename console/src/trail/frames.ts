// The bytes of a trail (docs/trail-format.md): its header, its frames, the chain through them. Everything is bounded and checked.
const MAGIC = 'DWR1\r\n\x1a\n';
const HEAD_SIZE = 14;
const MAX_HEADER = 262_144;
/** Bytes that the records of one frame unpack to, at most; what is compressed badly may be a little longer. */
export const MAX_BLOCK = 4_194_304;
const MAX_PAYLOAD = MAX_BLOCK + 65_536;

export const SCREEN = 0;
export const KEYSTROKES = 1;
export const CLEAR = 2;
const RESTART = 1;
const TAIL = 4;

/** A trail is not what was written; frame 0 is the header. */
export class TrailDamagedError extends Error {
  constructor(
    readonly reason: string,
    readonly frame = 0,
  ) {
    super(frame ? `frame ${frame}: ${reason}` : reason);
  }
}

export interface KeyBlock {
  clear?: string;
  cms?: string;
  recipients?: string[];
}
export interface TrailHeader {
  keys: { screen: KeyBlock; keystrokes: KeyBlock };
  session: string;
  started: string;
}
export interface Frame {
  number: number;
  stream: number;
  /** Milliseconds since the session began. */
  at: number;
  /** Whether the compression begins anew. */
  restarts: boolean;
  attempt: number;
  payload: Bytes;
  /** What is authenticated with the payload: the chain before the frame, and its head. */
  bound: Bytes;
  /** The chain after the frame, in hex. */
  chain: string;
  end: number;
}
export type Bytes = Uint8Array<ArrayBuffer>;

const view = (bytes: Bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
export const hex = (bytes: Uint8Array) => Array.from(bytes, (one) => one.toString(16).padStart(2, '0')).join('');

export function joined(...parts: Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const digest = async (bytes: Bytes): Promise<Bytes> => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

/** Return the header of a trail and the offset of its first frame. Throws TrailDamagedError. */
export function beginning(data: Bytes): { header: TrailHeader; first: number } {
  if (data.length < 12 || String.fromCharCode(...data.subarray(0, 8)) !== MAGIC) throw new TrailDamagedError('this is no trail');
  const length = view(data).getUint32(8);
  if (length > MAX_HEADER || 12 + length > data.length) throw new TrailDamagedError('the header is cut off');
  try {
    const header = JSON.parse(new TextDecoder().decode(data.subarray(12, 12 + length))) as TrailHeader;
    if (typeof header.keys.screen === 'object' && typeof header.keys.keystrokes === 'object') return { header, first: 12 + length };
  } catch {
    // Said below.
  }
  throw new TrailDamagedError('the header can not be read');
}

/** Yield the whole frames in order. One that is cut off ends them; where none can begin, TrailDamagedError is thrown. */
export async function* frames(data: Bytes, first: number): AsyncGenerator<Frame> {
  const heads = view(data);
  let chain = await digest(data.subarray(0, first));
  let offset = first;
  for (let number = 1; offset + HEAD_SIZE <= data.length; number += 1) {
    const length = heads.getUint32(offset);
    // A block of zeros, as a loss of power may leave at the end.
    if (!length) return;
    const stream = heads.getUint8(offset + 4);
    const flags = heads.getUint8(offset + 5);
    if (length > MAX_PAYLOAD || stream > CLEAR || (flags & ~7 && !(flags & TAIL))) throw new TrailDamagedError('no frame begins here', number);
    const end = offset + HEAD_SIZE + length;
    if (end > data.length) return;
    const bound = joined(chain, data.subarray(offset, offset + HEAD_SIZE));
    chain = await digest(joined(chain, data.subarray(offset, end)));
    const payload = data.subarray(offset + HEAD_SIZE, end);
    const at = Number(heads.getBigUint64(offset + 6));
    yield { number, stream, at, restarts: (flags & (RESTART | TAIL)) !== 0, attempt: flags >> 3, payload, bound, chain: hex(chain), end };
    offset = end;
  }
}

/** The nonce of a frame. */
export function nonce(frame: Frame): Bytes {
  const bytes = new Uint8Array(12);
  const numbers = view(bytes);
  numbers.setUint8(1, frame.attempt);
  numbers.setUint16(2, frame.stream);
  numbers.setBigUint64(4, BigInt(frame.number));
  return bytes;
}
