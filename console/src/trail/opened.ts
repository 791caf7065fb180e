// A whole trail, opened with a private key: proven frame by frame, and what its terminal showed.
import { type Shown, CastMaker } from './cast';
import { type Bytes, CLEAR, type Frame, KEYSTROKES, SCREEN, TrailDamagedError, beginning, frames } from './frames';
import { KeyRefusedError, contentKey, privateKey } from './keys';
import { StreamReader } from './records';
import { texts } from '../texts';

/** What a look at the whole trail showed. */
export interface TrailVerdict {
  frames: number;
  /** Milliseconds up to which all is in order. */
  until: number;
  damage: string | null;
  ended: boolean;
  /** Bytes at the end that are no whole frame. */
  cut: number;
  keystrokes: boolean;
  /** Seals over a frame whose chain is what they say, and those whose chain is not. */
  seals: { right: number; wrong: number };
}

interface Seal {
  frame: number;
  chain: string;
}

function sealOf(frame: Frame): Seal | null {
  try {
    const note = JSON.parse(new TextDecoder().decode(frame.payload)) as Record<string, unknown>;
    const isSeal = (note.kind === 'seal' || note.kind === 'stamp') && typeof note.frame === 'number' && typeof note.chain === 'string';
    return isSeal ? { frame: Number(note.frame), chain: String(note.chain) } : null;
  } catch {
    throw new TrailDamagedError('a record is no JSON', frame.number);
  }
}

/** Throws KeyRefusedError, TrailDamagedError where not even the header is right, TooLongError. */
export async function openTrail(data: Bytes, pem: string, passphrase: string, channel: number | null): Promise<{ shown: Shown; verdict: TrailVerdict }> {
  const key = await privateKey(pem, passphrase);
  const { header, first } = beginning(data);
  const screen = await contentKey(header.keys.screen, key);
  if (!screen) throw new KeyRefusedError(texts.key.wrong(header.keys.screen.recipients ?? []));
  const typed = await contentKey(header.keys.keystrokes, key);
  const readers = new Map([[SCREEN, new StreamReader(screen)], ...(typed ? ([[KEYSTROKES, new StreamReader(typed)]] as const) : [])]);
  const maker = new CastMaker(channel);
  const chains: string[] = [];
  const seals: Seal[] = [];
  let until = 0;
  let end = first;
  let damage: string | null = null;
  try {
    for await (const frame of frames(data, first)) {
      if (frame.stream === CLEAR) {
        const seal = sealOf(frame);
        if (seal) seals.push(seal);
      }
      for (const entry of (await readers.get(frame.stream)?.read(frame)) ?? []) {
        if (frame.stream === SCREEN) maker.take(entry);
      }
      chains.push(frame.chain);
      until = Math.max(until, frame.at);
      end = frame.end;
    }
  } catch (error) {
    if (!(error instanceof TrailDamagedError)) throw error;
    damage = error.message;
  }
  const right = seals.filter((one) => chains[one.frame - 1] === one.chain).length;
  return {
    shown: maker.made(),
    verdict: {
      frames: chains.length,
      until,
      damage,
      ended: maker.ended,
      cut: damage ? 0 : data.length - end,
      keystrokes: typed !== null,
      seals: { right, wrong: seals.length - right },
    },
  };
}
