// What refers to certificates, or to parts of settings such as addresses: found in the settings that may.
import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';

import { ApiError, call } from './client';
import { type ApiDocument, bodySchema, endpointAt, endpointsReferring, placeTitle, trail } from './document';
import { type Json, isMembers, step } from './json';
import type { Answer, List } from './queries';

export interface Use {
  key: string;
  path: string;
  title: string;
}

/** What of a branch or a store a value refers to, by its keys, with the place that does. */
function referred(value: Json | undefined, to: string, at = ''): [string, string][] {
  if (Array.isArray(value)) return value.flatMap((one, index) => referred(one, to, `${at}/${index}`));
  if (!isMembers(value)) return [];
  const href = isMembers(value.meta) ? value.meta.href : undefined;
  if (typeof value.key === 'string' && typeof href === 'string') return href.startsWith(`${to}/`) ? [[value.key, at]] : [];
  return Object.entries(value).flatMap(([member, one]) => referred(one, to, `${at}/${step(member)}`));
}

/** What refers to something, as far as the account may read it. */
export function useUses(document: ApiDocument, to: string): { uses: Use[]; isPending: boolean; isForbidden: boolean } {
  const paths = useMemo(() => endpointsReferring(document, to), [document, to]);
  const answers = useQueries({
    queries: paths.map((path) => ({ queryKey: ['configuration', path], queryFn: () => call<Answer<Json> & List<Json>>('GET', path) })),
  });
  const uses = answers.flatMap((answer, index) => {
    const path = paths[index] ?? '';
    const endpoint = endpointAt(document, path);
    const schema = endpoint ? bodySchema(document, endpoint) : null;
    const bodies = answer.data?.items?.map((item) => item.body) ?? [answer.data?.body];
    return bodies.flatMap((body) => referred(body, to)).map(([key, at]): Use => ({ key, path, title: [...trail(document, path), placeTitle(document, schema, at)].join(' › ') }));
  });
  const isForbidden = answers.every((one) => one.error instanceof ApiError && one.error.status === 403);
  return { uses, isPending: answers.some((one) => one.isPending), isForbidden };
}

