// What the server tells by itself: one stream for all tabs of the browser, held by a SharedWorker.
import { useSyncExternalStore } from 'react';

import workerUrl from './live-worker.ts?sharedworker&url';

export interface Trial {
  commit: string;
  deadline: number;
  failure: string | null;
  remaining: number;
  revision: number;
  user: string;
}

export type Topic = 'cluster' | 'health' | 'runs' | 'sessions';

export interface LiveState {
  login: number;
  /** How often what pages show has changed, topic by topic. */
  news: Record<Topic, number>;
  revision: number;
  trial: Trial | null;
}

export interface Live {
  /** "new" until the first word, "open" while the stream is, "lost" when the server does not answer, "over" after a logout. */
  link: 'new' | 'open' | 'lost' | 'over';
  state: LiveState | null;
  /** When the state came, by the clock of this page: seconds in it count from then. */
  at: number;
}

let live: Live = { link: 'new', state: null, at: 0 };
const listeners = new Set<() => void>();
let worker: SharedWorker | null = null;

function take(message: Omit<Live, 'at'> & { age: number }): void {
  live = { link: message.link, state: message.state, at: performance.now() - message.age };
  listeners.forEach((listener) => listener());
}

interface Policy {
  createScriptURL(url: string): string;
}
interface Policies {
  createPolicy(name: string, rules: Policy): Policy;
}

/** A URL that is ours as one that may be run; browsers without Trusted Types take the text. */
function trusted(url: string): string {
  const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  return policies ? policies.createPolicy('doorward', { createScriptURL: (given) => given }).createScriptURL(url) : url;
}

/** Begin to listen, or listen anew after a login. */
export function listen(): void {
  if (!worker) {
    worker = new SharedWorker(trusted(workerUrl), { type: 'module', name: 'live' });
    worker.port.onmessage = (event: MessageEvent<Omit<Live, 'at'> & { age: number }>) => take(event.data);
    worker.port.start();
  }
  worker.port.postMessage('open');
}

export function useLive(): Live {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => live,
  );
}
