// The certificates that settings refer to. Their store has no list: they are known by their uses.
import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';

import { isMembers, step } from '../forms/schema';
import { ApiError, call } from './client';
import { type ApiDocument, type Json, bodySchema, endpointAt, endpointsReferring, placeTitle, trail } from './document';
import type { Answer, List } from './queries';

export const CERTIFICATES = '/api/configuration/x509';

export interface Identity {
  certificate: string;
  fingerprint: string;
  has_private_key: boolean;
  issuer: string;
  not_after: string;
  not_before: string;
  serial_number: string;
  subject: string;
  subject_alternative_names: string[];
}
export interface Known {
  key: string;
  body: Identity;
}
export interface Use {
  key: string;
  path: string;
  title: string;
}

/** Certificates that a value refers to, by their keys, with the place that does. */
function referred(value: Json | undefined, at = ''): [string, string][] {
  if (Array.isArray(value)) return value.flatMap((one, index) => referred(one, `${at}/${index}`));
  if (!isMembers(value)) return [];
  const href = isMembers(value.meta) ? value.meta.href : undefined;
  if (typeof value.key === 'string' && typeof href === 'string') return href.startsWith(`${CERTIFICATES}/`) ? [[value.key, at]] : [];
  return Object.entries(value).flatMap(([member, one]) => referred(one, `${at}/${step(member)}`));
}

/** What uses certificates, as far as the account may read it. */
export function useUses(document: ApiDocument): { uses: Use[]; isPending: boolean; isForbidden: boolean } {
  const paths = useMemo(() => endpointsReferring(document, CERTIFICATES), [document]);
  const answers = useQueries({
    queries: paths.map((path) => ({ queryKey: ['configuration', path], queryFn: () => call<Answer<Json> & List<Json>>('GET', path) })),
  });
  const uses = answers.flatMap((answer, index) => {
    const path = paths[index] ?? '';
    const endpoint = endpointAt(document, path);
    const schema = endpoint ? bodySchema(document, endpoint) : null;
    const bodies = answer.data?.items?.map((item) => item.body) ?? [answer.data?.body];
    return bodies.flatMap((body) => referred(body)).map(([key, at]): Use => ({ key, path, title: [...trail(document, path), placeTitle(document, schema, at)].join(' › ') }));
  });
  const isForbidden = answers.every((one) => one.error instanceof ApiError && one.error.status === 403);
  return { uses, isPending: answers.some((one) => one.isPending), isForbidden };
}

/** The certificates with some keys, the one that ends first before the others. */
export function useIdentities(keys: string[]): { known: Known[]; isPending: boolean } {
  const found = useQueries({
    queries: keys.map((key) => ({ queryKey: ['configuration', `${CERTIFICATES}/${key}`], queryFn: () => call<Answer<Identity>>('GET', `${CERTIFICATES}/${key}`) })),
  });
  const known = keys.flatMap((key, index) => {
    const body = found[index]?.data?.body;
    return body ? [{ key, body }] : [];
  });
  known.sort((one, other) => one.body.not_after.localeCompare(other.body.not_after));
  return { known, isPending: found.some((one) => one.isPending) };
}
