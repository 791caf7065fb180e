// Asks for the auditor's private key, and for whom the reader trusts, and has the trail proven in a worker. What is picked here is
// sent to nobody.
import { texts } from '../texts';
import { type Shown } from './cast';
import type { TrailVerdict } from './opened';
import type { OpenAnswer, OpenOrder } from './worker';
import workerUrl from './worker.ts?worker&url';

const MAX_FILE = 65_536;

type Opened = { shown: Shown; verdict: TrailVerdict };

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

/** The verdict in words: what was checked, and what was not. */
export function worded(verdict: TrailVerdict): string[] {
  const told = [verdict.damage ? texts.key.damagedAt(verdict.damage, clock(verdict.until)) : texts.key.proven(verdict.frames, clock(verdict.until))];
  if (!verdict.damage && !verdict.ended) told.push(texts.key.cut(verdict.cut));
  if (!verdict.keystrokes) told.push(texts.key.noKeystrokes);
  const { seals } = verdict;
  const wrong = seals.filter((one) => one.holds === false);
  const right = seals.filter((one) => one.holds);
  const last = right.at(-1);
  if (wrong[0]) told.push(texts.key.sealsWrong(wrong.length, seals.length, wrong[0].frame));
  else if (last) told.push(texts.key.sealsHold(right.length, last.frame, last.at));
  const stamped = right.filter((one) => one.stamped).length;
  if (!wrong.length && stamped) told.push(texts.key.stamped(stamped));
  if (last && !wrong.length) told.push(texts.key.revocation);
  const unchecked = seals.filter((one) => one.holds === null).length;
  if (unchecked) told.push(texts.key.unchecked(unchecked));
  if (!seals.length) told.push(texts.key.noSeals);
  return told;
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((one, index) => (index ? String(one).padStart(2, '0') : String(one))).join(':');
}

/** The text of the files that were picked. Throws an error for the reader where one is no such file. */
async function picked(id: string, missing: string): Promise<string> {
  const files = [...(element<HTMLInputElement>(id).files ?? [])];
  if (files.some((one) => one.size > MAX_FILE)) throw new Error(missing);
  return (await Promise.all(files.map((one) => one.text()))).join('\n');
}

/** Ask until the trail is proven, and opened where a key was asked for. ``load`` fetches it; ``certificates``: who can read it. */
export function asked(certificates: string[] | null, channel: number | null, load: () => Promise<ArrayBuffer>): Promise<Opened> {
  const form = element<HTMLFormElement>('key');
  const submit = element<HTMLButtonElement>('key-open');
  const isEncrypted = certificates !== null;
  for (const id of ['key-file', 'key-passphrase']) (element(id).parentElement ?? form).hidden = !isEncrypted;
  element<HTMLInputElement>('key-file').required = isEncrypted;
  put('key-title', isEncrypted ? texts.key.title : texts.key.prove);
  put('key-about', isEncrypted ? texts.key.about : texts.key.proveAbout);
  put('key-file-text', texts.key.file);
  put('key-passphrase-text', texts.key.passphrase);
  put('key-signers-text', texts.key.signers);
  put('key-authorities-text', texts.key.authorities);
  put('key-open', isEncrypted ? texts.key.open : texts.key.prove);
  put('key-for', texts.key.for(certificates ?? []));
  form.hidden = false;
  return new Promise((resolve) => {
    const attempt = async () => {
      put('key-told', texts.key.opening);
      const pem = await picked('key-file', texts.key.none);
      if (isEncrypted && !pem) throw new Error(texts.key.none);
      const key = isEncrypted ? { pem, passphrase: element<HTMLInputElement>('key-passphrase').value } : null;
      const signers = await picked('key-signers', texts.key.noCertificate);
      const authorities = await picked('key-authorities', texts.key.noCertificate);
      const answer = await inWorker({ data: await load(), key, signers, authorities, channel });
      if ('refused' in answer) throw new Error(answer.refused);
      form.reset();
      form.hidden = true;
      put('key-told', '');
      resolve(answer);
    };
    // Asked again, the form is for the new question alone.
    form.onsubmit = (event) => {
      event.preventDefault();
      submit.disabled = true;
      attempt()
        .catch((error: unknown) => put('key-told', error instanceof Error && error.message ? error.message : texts.replay.failed))
        .finally(() => (submit.disabled = false));
    };
  });
}
