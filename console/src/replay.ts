// The player: a page of its own, with a policy of its own, since its terminal is WebAssembly.
import 'asciinema-player/dist/bundle/asciinema-player.css';
import './replay.css';

import { create } from 'asciinema-player';

import { following } from './following';
import { texts } from './texts';

const asked = new URLSearchParams(location.search);
const session = asked.get('session') ?? '';
const live = asked.get('live') ?? '';
const KEY = /^[A-Za-z][A-Za-z0-9]{21}$/;
const at = Number(asked.get('at') ?? 0);
const channel = asked.get('channel');
const told = document.getElementById('told');
const place = document.getElementById('player');

function tell(text: string): void {
  if (told) told.textContent = text;
}

/** Show a session while it runs; the server ends the stream when it is over, or when the right to it is gone. */
function follow(into: HTMLElement): void {
  const source = following(`/api/sessions/live/${live}/follow`, tell) as never;
  create(source, into, { fit: 'width', autoPlay: true, theme: 'auto/asciinema' });
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
  const url = `/api/audit/sessions/${session}/replay${channel ? `?channel=${encodeURIComponent(channel)}` : ''}`;
  const answer = await fetch(url, { headers: { 'X-Requested-With': 'fetch' } });
  if (!answer.ok) {
    const body = (await answer.json()) as { error?: { message?: string } };
    tell(body.error?.message ?? texts.replay.failed);
    return;
  }
  const data = await answer.text();
  create({ data }, into, { startAt: Number.isFinite(at) ? at : 0, idleTimeLimit: 2, fit: 'width', preload: true, theme: 'auto/asciinema' });
}

if (place) play(place).catch(() => tell(texts.replay.failed));
