// The player: a page of its own, with a policy of its own, since its terminal is WebAssembly. A recording comes in segments, so
// that one of hours begins at once; one that only an auditor's key opens comes as a whole, and is opened here.
import 'asciinema-player/dist/bundle/asciinema-player.css';
import './replay.css';

import { ahead } from './ahead';
import { following } from './following';
import { type Refused, patiently } from './patience';
import { texts } from './texts';

interface Player {
  getCurrentTime: () => Promise<number> | number;
  seek: (seconds: number) => Promise<void>;
  play: () => Promise<void>;
  dispose: () => void;
}
interface Event {
  type: string;
  content: string;
  time: string;
  channels_id: string;
}
interface Command {
  /** Seconds since the session began. */
  at: number;
  text: string;
}
/** What was copied by sftp or scp; ``download``: where its content is, if it was kept. */
interface CopiedFile {
  operation: string;
  path: string;
  result?: string;
  size?: number;
  download?: { href: string };
}
/** What is played, wherever it comes from. */
interface Recording {
  source: unknown;
  duration: number;
  idle: [number, number][];
  commands: () => Promise<Command[]>;
}
/** It is large: it comes while the server looks for what it plays. */
const coming = import('asciinema-player');
coming.catch(() => undefined);
const asked = new URLSearchParams(location.search);
const session = asked.get('session') ?? '';
const live = asked.get('live') ?? '';
const KEY = /^[A-Za-z][A-Za-z0-9]{21}$/;
const at = Number(asked.get('at') ?? 0);
const channel = asked.get('channel');
const headers = { 'X-Requested-With': 'fetch' };
const place = document.getElementById('player');
/** Seconds before the end of a pause that are left when it is skipped. */
const LEFT = 0.5;
const LOOK_MS = 250;

function put(id: string, text: string): void {
  const found = document.getElementById(id);
  if (found) found.textContent = text;
}
const tell = (text: string) => put('told', text);
function show(id: string, isShown = true): void {
  const found = document.getElementById(id);
  if (found) found.hidden = !isShown;
}
/** Say what is waited for, with a sign that something goes on; "": nothing any more. */
function wait(text: string): void {
  put('wait-text', text);
  show('wait', text !== '');
}
/** Say what went wrong, and offer to try again. */
function fail(error: unknown): void {
  wait('');
  tell(error instanceof Error && error.message ? error.message : texts.replay.failed);
  put('again', texts.retry);
  show('try');
}

/** Show a session while it runs; the server ends the stream when it is over, or when the right to it is gone. */
async function follow(into: HTMLElement): Promise<void> {
  const { create } = await coming;
  const isWhole = asked.get('from') === '0';
  const source = following(`/api/sessions/live/${live}/follow${isWhole ? '?from=0' : ''}`, tell) as never;
  create(source, into, { fit: 'width', autoPlay: true, theme: 'auto/asciinema' });
  const other = document.querySelector<HTMLAnchorElement>('#other-way');
  if (other) other.href = `?live=${live}${isWhole ? '' : '&from=0'}`;
  put('other-way', isWhole ? texts.replay.fromNow : texts.replay.fromBegin);
  show('way');
}

/** What the server refused, with what it said. */
class RefusedError extends Error {
  constructor(readonly told: Refused) {
    super(told.error?.message ?? texts.replay.failed);
  }
}

async function fetched<T>(url: string): Promise<T> {
  const answer = await patiently(url, wait);
  const body = (await answer.json()) as T & Refused;
  if (!answer.ok) throw new RefusedError(body);
  return body;
}

interface Index {
  duration: number;
  idle: [number, number][];
  segments: { start: number; url: string }[];
}

/** Where it begins; a session that is shorter ends there. */
const startOf = (duration: number) => (Number.isFinite(at) ? Math.min(Math.max(at, 0), duration) : 0);

/** Where the segments of a recording are; the player fetches them itself, but for the first one that it needs. */
async function segmented(): Promise<Recording> {
  const url = `/api/audit/sessions/${session}/segments${channel ? `?channel=${encodeURIComponent(channel)}` : ''}`;
  const index = await fetched<Index>(url);
  const start = startOf(index.duration);
  const first = index.segments.findLast((one) => one.start <= start);
  if (first) ahead(first.url, fetch(first.url, { headers }));
  ahead(url, Promise.resolve(Response.json(index)));
  return { ...index, source: { url, format: 'segmented', fetchOpts: { headers } }, commands };
}

/** The trail proven here, and opened where it needs a key, which stays here. The verdict is shown above the player. */
async function proven(certificates: string[] | null) {
  const { asked: ask, worded } = await import('./trail/asking');
  const list = document.getElementById('verdict');
  list?.replaceChildren();
  const { shown, verdict } = await ask(certificates, channel ? Number(channel) : null, async () => {
    const answer = await patiently(`/api/audit/sessions/${session}/audit_trail`, wait);
    if (!answer.ok) throw new Error(texts.key.fetch);
    return answer.arrayBuffer();
  });
  for (const line of worded(verdict)) {
    const item = document.createElement('li');
    item.textContent = line;
    list?.append(item);
  }
  show('verdict');
  return shown;
}

async function byKey(certificates: string[]): Promise<Recording> {
  const shown = await proven(certificates);
  return { source: { data: shown.cast }, duration: shown.duration, idle: shown.idle, commands: () => Promise.resolve(shown.commands) };
}

/** Offer to prove a recording that is played without. */
function offerProof(): void {
  const button = document.querySelector<HTMLButtonElement>('#prove');
  put('prove', texts.key.prove);
  show('check');
  button?.addEventListener('click', () => {
    const offer = button.parentElement as HTMLElement;
    offer.hidden = true;
    proven(null)
      .catch(fail)
      .finally(() => (offer.hidden = false));
  });
}

async function recording(): Promise<Recording> {
  try {
    const found = await segmented();
    offerProof();
    offerFiles();
    return found;
  } catch (error) {
    const details = error instanceof RefusedError ? error.told.error?.details : undefined;
    if (details?.code === 'encrypted_trail') return byKey(details.certificates ?? []);
    // Where nothing was shown, something may have been copied.
    if (error instanceof RefusedError) offerFiles();
    throw error;
  }
}

async function play(into: HTMLElement): Promise<void> {
  if (KEY.test(live)) {
    await follow(into);
    return;
  }
  if (!KEY.test(session)) {
    tell(texts.replay.missing);
    return;
  }
  const found = await recording();
  const { create } = await coming;
  const skip = document.querySelector<HTMLInputElement>('#skip');
  const speed = document.querySelector<HTMLSelectElement>('#speed');
  put('skip-text', texts.replay.skip);
  put('speed-text', texts.replay.speed);
  show('how');

  let player: Player;
  const begin = (start: number, isPlaying: boolean) => {
    const options = { startAt: start, speed: Number(speed?.value ?? 1), fit: 'width', preload: true, autoPlay: isPlaying, theme: 'auto/asciinema' };
    // The player writes into what it is given.
    return create({ ...(found.source as object) } as never, into, options as never) as unknown as Player;
  };
  player = begin(startOf(found.duration), false);
  // The speed of a player is that of its making.
  speed?.addEventListener('change', () => {
    void (async () => {
      const now = await player.getCurrentTime();
      player.dispose();
      player = begin(now, true);
    })();
  });
  let last = -1;
  setInterval(() => {
    void (async () => {
      const now = await player.getCurrentTime();
      const isMoving = now > last && last >= 0;
      last = now;
      if (!isMoving || !skip?.checked) return;
      const pause = found.idle.find(([from, until]) => now >= from && now < until - LEFT);
      if (pause) await player.seek(pause[1] - LEFT);
    })();
  }, LOOK_MS);
  list(await found.commands(), (seconds) => void player.seek(seconds));
}

/** The commands of the session, as the server has them. */
async function commands(): Promise<Command[]> {
  const root = `/api/audit/sessions/${session}`;
  const about = await fetched<{ body: { start_time: string } }>(root);
  const events = await fetched<{ items: Event[] }>(`${root}/events?limit=500`);
  const begun = Date.parse(about.body.start_time);
  return events.items
    .filter((one) => one.type === 'command' && (!channel || one.channels_id === channel))
    .map((one) => ({ at: Math.max(0, (Date.parse(`${one.time}Z`) - begun) / 1000), text: one.content }));
}

/** The files that the session copied, as the server has them. */
async function files(): Promise<CopiedFile[]> {
  const { items } = await fetched<{ items: { body: CopiedFile }[] }>(`/api/audit/sessions/${session}/files?limit=500`);
  return items.map((one) => one.body);
}

/** Offer the list of files, for which the whole trail has to be read. */
function offerFiles(): void {
  const button = document.querySelector<HTMLButtonElement>('#look');
  put('look', texts.replay.look);
  show('look-for');
  button?.addEventListener('click', () => {
    show('look-for', false);
    files()
      .then(listFiles)
      .catch((error: unknown) => {
        show('look-for');
        fail(error);
      });
  });
}

/** List files, with their contents where they were kept. */
function listFiles(found: CopiedFile[]): void {
  for (const { operation, path, size, result, download } of found) {
    const item = document.createElement('li');
    item.textContent = texts.replay.file(operation, path, size, result ?? '');
    if (download) {
      const link = document.createElement('a');
      link.href = download.href;
      link.textContent = texts.download;
      item.append(' ', link);
    }
    document.getElementById('file-list')?.append(item);
  }
  show('files');
  put('files-title', found.length ? texts.replay.files : texts.replay.noFiles);
}

/** List commands, each of which the player goes to. */
function list(found: Command[], go: (seconds: number) => void): void {
  for (const one of found) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = one.text;
    button.addEventListener('click', () => go(one.at));
    const item = document.createElement('li');
    item.append(button);
    document.getElementById('list')?.append(item);
  }
  if (found.length) show('commands');
  put('commands-title', texts.replay.commands);
}

document.getElementById('again')?.addEventListener('click', () => location.reload());
if (place) play(place).catch(fail);
