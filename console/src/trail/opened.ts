// A whole trail, proven frame by frame: opened with a private key where it needs one, with its seals, and what its terminal showed.
import { texts } from '../texts';
import { type Shown, CastMaker } from './cast';
import { type Bytes, CLEAR, KEYSTROKES, SCREEN, TrailDamagedError, beginning, frames } from './frames';
import { KeyRefusedError, contentKey, privateKey } from './keys';
import { StreamReader } from './records';
import { type CheckedSeal, type Seal, type Trusted, checked, sealOf } from './seals';

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
  seals: CheckedSeal[];
}
export interface Opening {
  /** The private key of who can read it; null where everybody can. */
  key: { pem: string; passphrase: string } | null;
  trusted: Trusted;
  /** What is shown; null: the first that shows something. */
  channel: number | null;
}

/** Throws KeyRefusedError, TrailDamagedError where not even the header is right, TooLongError. */
export async function openTrail(data: Bytes, { key, trusted, channel }: Opening): Promise<{ shown: Shown; verdict: TrailVerdict }> {
  const own = key && (await privateKey(key.pem, key.passphrase));
  const { header, first } = beginning(data);
  const screen = await contentKey(header.keys.screen, own);
  if (!screen) throw new KeyRefusedError(texts.key.wrong(header.keys.screen.recipients ?? []));
  const typed = await contentKey(header.keys.keystrokes, own);
  const readers = new Map([[SCREEN, new StreamReader(screen)], ...(typed ? ([[KEYSTROKES, new StreamReader(typed)]] as const) : [])]);
  // A trail that everybody can read is played by segments; here it is only proven.
  const maker = new CastMaker(channel, key !== null);
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
  return {
    shown: maker.made(),
    verdict: {
      frames: chains.length,
      until,
      damage,
      ended: maker.ended,
      cut: damage ? 0 : data.length - end,
      keystrokes: typed !== null,
      seals: await checked(seals, chains, trusted),
    },
  };
}
