// Holds the one event stream of a browser and hands on to every tab what comes.
const ports = new Set<MessagePort>();
let source: EventSource | null = null;
let last: { link: string; state: unknown } = { link: 'new', state: null };
let at = 0;
let retry = 0;

function tell(port: MessagePort): void {
  port.postMessage({ ...last, age: last.state ? performance.now() - at : 0 });
}

function say(link: string, state: unknown = last.state): void {
  if (state !== last.state) at = performance.now();
  last = { link, state };
  ports.forEach(tell);
}

async function whyClosed(): Promise<void> {
  try {
    const answer = await fetch('/api/info', { headers: { 'X-Requested-With': 'fetch' } });
    const body = (await answer.json()) as { meta?: { remaining_seconds?: number } };
    if (answer.ok && body.meta?.remaining_seconds === undefined) {
      say('over', null);
      return;
    }
  } catch {
    // It does not answer: tried again below.
  }
  say('lost');
  retry = Math.min(retry + 1, 5);
  setTimeout(open, 1000 * retry);
}

function open(): void {
  if (source && source.readyState !== EventSource.CLOSED) return;
  const opened = new EventSource('/api/live');
  source = opened;
  opened.addEventListener('state', (event) => {
    retry = 0;
    say('open', JSON.parse(event.data as string) as unknown);
  });
  opened.addEventListener('over', () => {
    opened.close();
    say('over', null);
  });
  opened.onerror = () => {
    opened.close();
    void whyClosed();
  };
}

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  ports.add(port);
  port.onmessage = (message: MessageEvent) => {
    if (message.data === 'bye') ports.delete(port);
    else open();
  };
  tell(port);
};
