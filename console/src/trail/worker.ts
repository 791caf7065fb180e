// Opens one trail, answers, and is ended then: the private key is nowhere else in between.
import { texts } from '../texts';
import { type Shown, TooLongError } from './cast';
import { TrailDamagedError } from './frames';
import { KeyRefusedError } from './keys';
import { type TrailVerdict, openTrail } from './opened';

export interface OpenOrder {
  data: ArrayBuffer;
  pem: string;
  passphrase: string;
  channel: number | null;
}
export type OpenAnswer = { shown: Shown; verdict: TrailVerdict } | { refused: string };

function told(error: unknown): string {
  if (error instanceof KeyRefusedError) return error.message;
  if (error instanceof TrailDamagedError) return texts.key.damaged(error.message);
  return error instanceof TooLongError ? texts.key.tooLong : texts.replay.failed;
}

interface Place {
  onmessage: (event: MessageEvent<OpenOrder>) => void;
  postMessage: (answer: OpenAnswer) => void;
}
const place = self as unknown as Place;
place.onmessage = ({ data: order }) => {
  openTrail(new Uint8Array(order.data), order.pem, order.passphrase, order.channel).then(
    (found) => place.postMessage(found),
    (error: unknown) => place.postMessage({ refused: told(error) }),
  );
};
