// The player: a page of its own, with a policy of its own, since its terminal is WebAssembly. A recording comes in segments, so
// that one of hours begins at once.
import 'asciinema-player/dist/bundle/asciinema-player.css';
import './replay.css';

import { create } from 'asciinema-player';

import { following } from './following';
import { texts } from './texts';

interface Index {
  duration: number;
  idle: [number, number][];
}
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

/** Show a session while it runs; the server ends the stream when it is over, or when the right to it is gone. */
function follow(into: HTMLElement): void {
  const source = following(`/api/sessions/live/${live}/follow`, tell) as never;
  create(source, into, { fit: 'width', autoPlay: true, theme: 'auto/asciinema' });
}

async function fetched<T>(url: string): Promise<T> {
  const answer = await fetch(url, { headers });
  const body = (await answer.json()) as T & { error?: { message?: string } };
  if (!answer.ok) throw new Error(body.error?.message ?? texts.replay.failed);
  return body;
}

async function play(into: HTMLElement): Promise<void> {
  if (KEY.test(live)) {
    follow(into);
    return;
  }
  if (!KEY.test(session)) {
    tell(texts.replay.missing);
    return;
  }
  const url = `/api/audit/sessions/${session}/segments${channel ? `?channel=${encodeURIComponent(channel)}` : ''}`;
  const index = await fetched<Index>(url);
  const controls = document.querySelector<HTMLFormElement>('#how');
  const skip = document.querySelector<HTMLInputElement>('#skip');
  const speed = document.querySelector<HTMLSelectElement>('#speed');
  put('skip-text', texts.replay.skip);
  put('speed-text', texts.replay.speed);
  if (controls) controls.hidden = false;

  let player: Player;
  const show = (start: number, isPlaying: boolean) => {
    const source = { url, format: 'segmented', fetchOpts: { headers } } as never;
    const options = { startAt: start, speed: Number(speed?.value ?? 1), fit: 'width', preload: true, autoPlay: isPlaying, theme: 'auto/asciinema' };
    return create(source, into, options as never) as unknown as Player;
  };
  player = show(Number.isFinite(at) ? Math.min(Math.max(at, 0), index.duration) : 0, false);
  // The speed of a player is that of its making.
  speed?.addEventListener('change', () => {
    void (async () => {
      const now = await player.getCurrentTime();
      player.dispose();
      player = show(now, true);
    })();
  });
  let last = -1;
  setInterval(() => {
    void (async () => {
      const now = await player.getCurrentTime();
      const isMoving = now > last && last >= 0;
      last = now;
      if (!isMoving || !skip?.checked) return;
      const pause = index.idle.find(([begin, end]) => now >= begin && now < end - LEFT);
      if (pause) await player.seek(pause[1] - LEFT);
    })();
  }, LOOK_MS);
  await commands((seconds) => void player.seek(seconds));
}

/** The commands of the session, each of which the player goes to. */
async function commands(go: (seconds: number) => void): Promise<void> {
  const root = `/api/audit/sessions/${session}`;
  const about = await fetched<{ body: { start_time: string } }>(root);
  const events = await fetched<{ items: Event[] }>(`${root}/events?limit=500`);
  const begun = Date.parse(about.body.start_time);
  const list = document.getElementById('list');
  const found = events.items.filter((one) => one.type === 'command' && (!channel || one.channels_id === channel));
  for (const one of found) {
    const seconds = Math.max(0, (Date.parse(`${one.time}Z`) - begun) / 1000);
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = one.content;
    button.addEventListener('click', () => go(seconds));
    const item = document.createElement('li');
    item.append(button);
    list?.append(item);
  }
  const section = document.getElementById('commands');
  if (section) section.hidden = found.length === 0;
  put('commands-title', texts.replay.commands);
}

if (place) play(place).catch((error: unknown) => tell(error instanceof Error && error.message ? error.message : texts.replay.failed));
