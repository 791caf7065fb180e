// The certificates that settings refer to. Their store has no list: they are known by their uses.
import { useQueries } from '@tanstack/react-query';

import { call } from './client';
import type { Answer } from './queries';

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
