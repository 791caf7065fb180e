// Opens one trail, answers, and is ended then: the private key is nowhere else in between.
import { texts } from '../texts';
import { type Shown, TooLongError } from './cast';
import { TrailDamagedError } from './frames';
import { KeyRefusedError } from './keys';
import { type Opening, type TrailVerdict, openTrail } from './opened';
import { CertificateRefusedError, certificates } from './seals';

export interface OpenOrder extends Pick<Opening, 'channel' | 'key'> {
  data: ArrayBuffer;
  /** In PEM: whose signatures, and whose time stamps are trusted. */
  signers: string;
  authorities: string;
}
export type OpenAnswer = { shown: Shown; verdict: TrailVerdict } | { refused: string };

async function answered({ data, signers, authorities, key, channel }: OpenOrder): Promise<OpenAnswer> {
  const trusted = { signers: certificates(signers), authorities: certificates(authorities) };
  return openTrail(new Uint8Array(data), { key, trusted, channel });
}

function told(error: unknown): string {
  if (error instanceof KeyRefusedError) return error.message;
  if (error instanceof CertificateRefusedError) return texts.key.noCertificate;
  if (error instanceof TrailDamagedError) return texts.key.damaged(error.message);
  return error instanceof TooLongError ? texts.key.tooLong : texts.replay.failed;
}

interface Place {
  onmessage: (event: MessageEvent<OpenOrder>) => void;
  postMessage: (answer: OpenAnswer) => void;
}
const place = self as unknown as Place;
place.onmessage = ({ data: order }) => {
  answered(order).then(
    (found) => place.postMessage(found),
    (error: unknown) => place.postMessage({ refused: told(error) }),
  );
};
