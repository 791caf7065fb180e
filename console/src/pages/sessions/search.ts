// What is looked for among sessions, as it stands in the address.
export const PAGE = 50;

/** Times that are relative to when somebody looks, as the server writes them. */
export const SINCE = ['1h', '1d', '7d', '30d'] as const;
export const VERDICTS = ['ACCEPT', 'AUTH_FAIL', 'FAIL', 'TERMINATED'] as const;
export const PROTOCOLS = ['SSH'] as const;
const NAMES = ['user', 'target', 'protocol', 'verdict', 'since', 'start', 'end', 'content', 'q'] as const;

export type SessionSearch = { [name in (typeof NAMES)[number]]?: string | undefined } & { offset?: number | undefined };

/** A text of an address, where a number may stand for one. */
export const text = (value: unknown) => (typeof value === 'string' && value ? value : typeof value === 'number' ? String(value) : undefined);

export const searchOf = (given: Record<string, unknown>): SessionSearch => ({
  ...Object.fromEntries(NAMES.map((name) => [name, text(given[name])])),
  offset: typeof given.offset === 'number' ? given.offset : undefined,
});

/** A value in a query: as it is if it may have wildcards, else in quotes. */
const quoted = (value: string) => (/^[\w.@-][\w.@*?-]*$/.test(value) ? value : `"${value.replaceAll(/["\\]/g, (one) => `\\${one}`)}"`);

const isAddress = (value: string) => /^\d+\.\d+\.\d+\.\d+(\/\d+)?$|:/.test(value);

/** The query that filters are, in the words of the server. */
export function queryOf({ user, target, protocol, verdict, q }: SessionSearch): string {
  const parts = [
    user && `user.name:${quoted(user)}`,
    target && (isAddress(target) ? `server.ip:"${target}"` : `server.name:${quoted(target)}`),
    protocol && `protocol:${quoted(protocol)}`,
    verdict && `verdict:${quoted(verdict)}`,
  ].filter(Boolean);
  if (q) parts.push(parts.length ? `(${q})` : q);
  return parts.join(' AND ');
}

/** Where the server answers a search, the newest first. */
export function searchPath(search: SessionSearch): string {
  const given = new URLSearchParams({ fields: '*', sort: '-start_time', limit: String(PAGE), offset: String(search.offset ?? 0) });
  const query = queryOf(search);
  if (query) given.set('q', query);
  if (search.content) given.set('content', search.content);
  if (search.since) given.set('start', `now-${search.since}`);
  else if (search.start) given.set('start', new Date(search.start).toISOString());
  if (search.end && !search.since) given.set('end', new Date(search.end).toISOString());
  return `/api/audit/sessions?${given.toString()}`;
}
