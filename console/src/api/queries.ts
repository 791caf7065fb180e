// What pages ask the server for, and what they tell it, with names for the cache.
import { type QueryClient, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { ApiError, call } from './client';
import type { Json } from './json';
import type { Topic } from './live';

export interface User {
  acls: { group: string; objects: string[]; permission: string }[];
  groups: string[];
  name: string;
  token: string;
}
export interface Info {
  hostname: string;
  domainname: string;
  nickname: string | null;
  roles?: string[];
  product?: { name: string; version: string };
}
export interface Item<T = Json> {
  key: string;
  body?: T;
  meta: { href: string };
}
export interface Change {
  path: string;
  type: 'create' | 'delete' | 'reorder' | 'replace';
  new_value?: Json;
  old_value?: Json;
  new_order?: Json[];
  old_order?: Json[];
}
export interface PlanBody {
  actions: { action: string; effect: string; path: string }[];
  changes: number;
  conflicts: string[];
  problems: Told[];
  warnings: Told[];
}
export interface Told {
  code: string;
  message: string;
  path: string;
  pointer: string;
}
export interface Issue {
  message: string;
  paths: string[];
}
export interface Health {
  health_status: {
    cpu: number;
    disk: number;
    memory: number;
    load1: number;
    load5: number;
    load15: number;
    sessions_total: number;
    issues: { errors: Issue[]; warnings: Issue[] };
  };
}
export interface Answer<T> {
  body: T;
  key: string;
  meta: { href: string; warnings?: Told[]; [name: string]: unknown };
}
export interface List<T> {
  items: Item<T>[];
  meta: { [name: string]: unknown };
}

const get =
  <T>(path: string) =>
  () =>
    call<T>('GET', path);

export const useInfo = () => useQuery({ queryKey: ['info'], queryFn: get<Answer<Info>>('/api/info') });
export const useUser = () =>
  useQuery({
    queryKey: ['user'],
    queryFn: get<Answer<User>>('/api/user/info'),
    retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status === 401),
  });
export const useChanges = () =>
  useQuery({ queryKey: ['transaction', 'changes'], queryFn: get<{ changes: Change[] }>('/api/transaction/changes') });
export const usePlan = () => useQuery({ queryKey: ['transaction', 'plan'], queryFn: get<Answer<PlanBody>>('/api/transaction/plan') });
export const useTransaction = () =>
  useQuery({
    queryKey: ['transaction', 'status'],
    queryFn: get<Answer<{ status: 'open' | 'closed'; commit_message: 'optional' | 'required' }>>('/api/transaction'),
  });
export const useNode = (path: string, enabled = true) =>
  useQuery({ queryKey: ['configuration', path], queryFn: get<Answer<Json> & List<Json>>(path), enabled });

/** Any other answer, by its path; asked for again when the server tells that its topic has changed. */
export const useAnswer = <T>(path: string, topic?: Topic, enabled = true) =>
  useQuery({ queryKey: ['answer', path], queryFn: get<T>(path), meta: { topic }, enabled });

export const useHealth = () => useAnswer<Health>('/api/health_status', 'health');

/** Ask again for what belongs to a topic. */
export const renew = (cache: QueryClient, topic: Topic) => cache.invalidateQueries({ predicate: (query) => query.meta?.topic === topic });

/** Forget what a change of the candidate, or of what runs, may have changed. */
export function forget(cache: QueryClient): Promise<unknown> {
  return Promise.all([
    cache.invalidateQueries({ queryKey: ['transaction'] }),
    cache.invalidateQueries({ queryKey: ['configuration'] }),
    cache.invalidateQueries({ queryKey: ['answer'] }),
    cache.invalidateQueries({ queryKey: ['info'] }),
  ]);
}

async function change(method: string, path: string, body?: unknown): Promise<unknown> {
  await call('POST', '/api/transaction');
  return call(method, path, body);
}

/** Write into the transaction, which is opened where it is not. */
export function useChange() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: { method: string; path: string; body?: unknown }) => change(method, path, body),
    onSuccess: () => forget(cache),
  });
}

/** Order something of the server that is no change of the configuration. */
export function useOrder<T = unknown>() {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: { method: string; path: string; body?: unknown }) => call<T>(method, path, body),
    onSuccess: () => forget(cache),
  });
}
