// Asks for the auditor's private key, and has the trail opened with it in a worker. Key and passphrase are sent to nobody.
import { texts } from '../texts';
import { type Shown } from './cast';
import type { TrailVerdict } from './opened';
import type { OpenAnswer, OpenOrder } from './worker';
import workerUrl from './worker.ts?worker&url';

const MAX_KEY = 65_536;

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

function put(id: string, text: string): void {
  element(id).textContent = text;
}

function inWorker(order: OpenOrder): Promise<OpenAnswer> {
  const worker = new Worker(workerUrl, { type: 'module' });
  return new Promise<OpenAnswer>((resolve) => {
    worker.onmessage = (event: MessageEvent<OpenAnswer>) => resolve(event.data);
    worker.onerror = () => resolve({ refused: texts.replay.failed });
    worker.postMessage(order);
  }).finally(() => worker.terminate());
}

/** The verdict in words. */
export function worded(verdict: TrailVerdict): string[] {
  const told = [verdict.damage ? texts.key.damagedAt(verdict.damage, clock(verdict.until)) : texts.key.proven(verdict.frames, clock(verdict.until))];
  if (!verdict.damage && !verdict.ended) told.push(texts.key.cut(verdict.cut));
  if (!verdict.keystrokes) told.push(texts.key.noKeystrokes);
  const { right, wrong } = verdict.seals;
  told.push(wrong ? texts.key.sealsWrong(wrong) : right ? texts.key.seals(right) : texts.key.noSeals);
  return told;
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((one, index) => (index ? String(one).padStart(2, '0') : String(one))).join(':');
}

/** Ask until the trail is open. ``load`` fetches it. */
export function openedByKey(certificates: string[], channel: number | null, load: () => Promise<ArrayBuffer>): Promise<{ shown: Shown; verdict: TrailVerdict }> {
  const form = element<HTMLFormElement>('key');
  const file = element<HTMLInputElement>('key-file');
  const passphrase = element<HTMLInputElement>('key-passphrase');
  const submit = element<HTMLButtonElement>('key-open');
  put('key-title', texts.key.title);
  put('key-about', texts.key.about);
  put('key-file-text', texts.key.file);
  put('key-passphrase-text', texts.key.passphrase);
  put('key-open', texts.key.open);
  put('key-for', texts.key.for(certificates));
  form.hidden = false;
  return new Promise((resolve) => {
    const attempt = async () => {
      put('key-told', texts.key.opening);
      const picked = file.files?.[0];
      if (!picked || picked.size > MAX_KEY) throw new Error(texts.key.none);
      const pem = await picked.text();
      const answer = await inWorker({ data: await load(), pem, passphrase: passphrase.value, channel });
      if ('refused' in answer) throw new Error(answer.refused);
      form.reset();
      form.hidden = true;
      resolve(answer);
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      submit.disabled = true;
      attempt()
        .catch((error: unknown) => put('key-told', error instanceof Error && error.message ? error.message : texts.replay.failed))
        .finally(() => (submit.disabled = false));
    });
  });
}
