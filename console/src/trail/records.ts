// What stands in a frame once it is open: unpacked, and taken apart into records.
import { Decompress } from 'fzstd';

import { type Bytes, type Frame, MAX_BLOCK, TrailDamagedError, joined, nonce } from './frames';

export interface Entry {
  /** Milliseconds since the session began. */
  at: number;
  kind: number;
  channel: number;
  content: Bytes;
}

/** Reads the frames of one stream, in their order. */
export class StreamReader {
  readonly #key: CryptoKey;
  #unpacker: Decompress | null = null;
  #pieces: Uint8Array[] = [];
  #size = 0;

  constructor(key: CryptoKey) {
    this.#key = key;
  }

  /** Return the records of the next frame. Throws TrailDamagedError. */
  async read(frame: Frame): Promise<Entry[]> {
    let packed: Bytes;
    try {
      const how = { name: 'AES-GCM', iv: nonce(frame), additionalData: frame.bound };
      packed = new Uint8Array(await crypto.subtle.decrypt(how, this.#key, frame.payload));
    } catch {
      throw new TrailDamagedError('it was changed, or the key is another', frame.number);
    }
    return records(this.#unpacked(packed, frame), frame.number);
  }

  #unpacked(packed: Bytes, frame: Frame): Bytes {
    if (frame.restarts) {
      this.#unpacker = new Decompress((piece) => {
        this.#size += piece.length;
        // A few bytes may stand for very many.
        if (this.#size > 2 * MAX_BLOCK) throw new TrailDamagedError('it unpacks to too much');
        this.#pieces.push(piece.slice());
      });
    }
    if (!this.#unpacker) throw new TrailDamagedError('the compression has no beginning', frame.number);
    this.#pieces = [];
    this.#size = 0;
    try {
      this.#unpacker.push(packed);
    } catch (error) {
      throw new TrailDamagedError(error instanceof TrailDamagedError ? error.reason : 'it does not unpack', frame.number);
    }
    return joined(...this.#pieces);
  }
}

function records(block: Bytes, frame: number): Entry[] {
  const found: Entry[] = [];
  let place = 0;
  let at = 0;
  const number = () => {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = block[place];
      if (byte === undefined || factor > 2 ** 49) throw new TrailDamagedError('a number in a record is cut off', frame);
      place += 1;
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (byte < 0x80) return value;
    }
  };
  while (place < block.length) {
    at += number();
    const kind = block[place] ?? 0;
    place += 1;
    const channel = number();
    const size = number();
    if (place + size > block.length) throw new TrailDamagedError('a record is cut off', frame);
    found.push({ at, kind, channel, content: block.subarray(place, place + size) });
    place += size;
  }
  return found;
}
