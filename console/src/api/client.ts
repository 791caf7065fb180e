// The API: typed by the server's own description (schema.d.ts is made from it), with the token that browsers must send.
import createClient, { type Middleware } from 'openapi-fetch';

import { texts } from '../texts';
import type { paths } from './schema';

export interface Problem {
  code: string;
  message: string;
  pointer?: string;
  path?: string;
}

export interface Conflict {
  author: string;
  path: string;
  revision: number;
  running_value?: unknown;
}

interface Told {
  type: string;
  message: string;
  details?: { errors?: Problem[]; conflicts?: Conflict[]; [name: string]: unknown };
}

/** What the server answered instead of what was asked for; status 0: it did not answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly told: Told,
  ) {
    super(told.message);
  }

  get problems(): Problem[] {
    return this.told.details?.errors ?? [];
  }

  get conflicts(): Conflict[] {
    return this.told.details?.conflicts ?? [];
  }
}

type Listener = () => void;
const onUnauthenticated = new Set<Listener>();
let token = '';

export function setToken(value: string): void {
  token = value;
}

/** Call a function whenever an answer says that the login session is over. Returns how to stop that. */
export function whenLoggedOut(listener: Listener): () => void {
  onUnauthenticated.add(listener);
  return () => onUnauthenticated.delete(listener);
}

const IDLE_MS = 10_000;
let lastInput = 0;
for (const event of ['pointerdown', 'keydown'] as const) {
  addEventListener(event, () => (lastInput = performance.now()), { capture: true, passive: true });
}

/** What a page asks for by itself while nobody touches it must not keep the login session alive. */
const isIdle = () => performance.now() - lastInput > IDLE_MS;

const carry: Middleware = {
  onRequest({ request }) {
    request.headers.set('X-Requested-With', 'fetch');
    if (isIdle()) request.headers.set('X-Background', '1');
    if (request.method !== 'GET' && request.method !== 'HEAD') request.headers.set('X-Token', token);
    return request;
  },
};

export const client = createClient<paths>({ baseUrl: '/' });
client.use(carry);

function refused(status: number, body: unknown): ApiError {
  const told = (body as { error?: Told } | undefined)?.error;
  if (status === 401) onUnauthenticated.forEach((listener) => listener());
  return new ApiError(status, told ?? { type: 'Unknown', message: texts.answered(status) });
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Return what an answer holds. Throws ApiError. */
export async function answered<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await unreachable(asked);
  if (!response.ok) throw refused(response.status, error);
  return data as T;
}

async function unreachable<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch {
    throw new ApiError(0, { type: 'Unreachable', message: texts.unreachable });
  }
}

/** An answer whose path, and so whose type, is known only when it comes: anything of the configuration tree. */
export async function call<T = unknown>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
  const fields: Record<string, string> = { 'X-Requested-With': 'fetch', ...(isIdle() ? { 'X-Background': '1' } : {}), ...headers };
  if (method !== 'GET') fields['X-Token'] = token;
  if (method === 'POST' || method === 'PUT') fields['Content-Type'] = 'application/json';
  if (body instanceof Blob) fields['Content-Type'] = 'application/octet-stream';
  const sent = method === 'GET' || method === 'DELETE' ? undefined : body === undefined ? '' : body instanceof Blob ? body : JSON.stringify(body);
  const response = await unreachable(fetch(path, { method, headers: fields, body: sent }));
  const text = await response.text();
  let value: unknown;
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    value = {};
  }
  if (!response.ok) throw refused(response.status, value);
  return value as T;
}

const KEPT = 'kept';

/** What is large, the same for everybody and known by its entity tag: kept by the browser, which asks whether it is still that. */
export async function keptCall<T>(path: string): Promise<T> {
  const cache = await globalThis.caches?.open(KEPT).catch(() => undefined);
  const kept = await cache?.match(path);
  const headers: Record<string, string> = { 'X-Requested-With': 'fetch', ...(isIdle() ? { 'X-Background': '1' } : {}) };
  const etag = kept?.headers.get('ETag');
  if (etag) headers['If-None-Match'] = etag;
  const answer = await unreachable(fetch(path, { headers }));
  if (answer.status === 304 && kept) return (await kept.json()) as T;
  if (!answer.ok) throw refused(answer.status, await answer.json().catch(() => undefined));
  await cache?.put(path, answer.clone()).catch(() => undefined);
  return (await answer.json()) as T;
}

export async function logIn(name: string, password: string): Promise<void> {
  const bytes = new TextEncoder().encode(`${name}:${password}`);
  const credentials = btoa(String.fromCharCode(...bytes));
  const headers = { 'X-Requested-With': 'fetch', Authorization: `Basic ${credentials}` };
  const response = await unreachable(fetch('/api/authentication', { headers }));
  if (!response.ok) {
    const body: unknown = await response.json().catch(() => ({}));
    throw new ApiError(response.status, (body as { error?: Told }).error ?? { type: 'Unknown', message: texts.loginFailed });
  }
}
