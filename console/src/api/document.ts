// The server's description of its API, from which navigation and forms are made.
import { queryOptions, useQuery } from '@tanstack/react-query';

import { keptCall } from './client';
import type { Json } from './json';

export interface Schema {
  $ref?: string;
  type?: string | string[];
  title?: string;
  description?: string;
  default?: Json;
  const?: Json;
  enum?: Json[];
  examples?: Json[];
  format?: string;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  readOnly?: boolean;
  writeOnly?: boolean;
  'x-doorward'?: { object?: boolean; ordered?: boolean; reference?: string; secret?: boolean; steps?: (string | null)[] };
}

export interface Endpoint {
  path: string;
  built_in: string[];
  kind: 'branch' | 'collection' | 'list' | 'store' | 'value';
  listed: boolean;
  ordered: boolean;
  privilege: string;
  scope: 'cluster' | 'node' | 'owner';
  supported: boolean;
  title: string;
  writable: boolean;
}

interface Operation {
  description?: string;
  requestBody?: { content?: Record<string, { schema?: Schema }> };
}

export interface ApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
  'x-doorward': {
    endpoints: Record<string, Omit<Endpoint, 'path'>>;
    /** Titles of what rights are for. */
    objects: Record<string, string>;
    /** Names, and words of names, that are not read as they are written. */
    words: Record<string, string>;
  };
}

export const ROOT = '/api/configuration';

/** Asked for once a page, and sent once a build of the server. */
export const documentQuery = queryOptions({
  queryKey: ['document'],
  queryFn: () => keptCall<ApiDocument>('/api/openapi.json'),
  staleTime: Infinity,
});

export const useDocument = () => useQuery(documentQuery);

export function endpointAt(document: ApiDocument, path: string): Endpoint | null {
  const found = document['x-doorward'].endpoints[path];
  return found ? { ...found, path } : null;
}

/** The endpoint that a path leads to, and the key of the object in it ("" for none). */
export function locate(document: ApiDocument, path: string): { endpoint: Endpoint; key: string } | null {
  const exact = endpointAt(document, path);
  if (exact) return { endpoint: exact, key: '' };
  const cut = path.lastIndexOf('/');
  const above = endpointAt(document, path.slice(0, cut));
  return above && above.kind !== 'branch' ? { endpoint: above, key: path.slice(cut + 1) } : null;
}

export function childrenOf(document: ApiDocument, path: string): Endpoint[] {
  const depth = path.split('/').length + 1;
  return Object.entries(document['x-doorward'].endpoints)
    .filter(([other]) => other.startsWith(`${path}/`) && other.split('/').length === depth)
    .map(([other, found]) => ({ ...found, path: other }));
}

/** Settings that may refer to objects of a collection, or to secrets of a store. */
export function endpointsReferring(document: ApiDocument, to: string): string[] {
  const known = new Map<string, boolean>();
  const refers = (schema: unknown): boolean => {
    if (Array.isArray(schema)) return schema.some(refers);
    if (typeof schema !== 'object' || schema === null) return false;
    if ((schema as Schema)['x-doorward']?.reference === to) return true;
    const name = (schema as Schema).$ref?.split('/').at(-1);
    if (name !== undefined) {
      if (!known.has(name)) {
        known.set(name, false);
        known.set(name, refers(document.components.schemas[name]));
      }
      if (known.get(name)) return true;
    }
    return Object.values(schema).some(refers);
  };
  return Object.entries(document['x-doorward'].endpoints)
    .filter(([path, one]) => one.supported && one.writable && one.kind !== 'store' && refers(bodySchema(document, { ...one, path })))
    .map(([path]) => path);
}

/** Whether there is anything below that this release honours. */
export function isUseful(document: ApiDocument, endpoint: Endpoint): boolean {
  if (endpoint.kind === 'store') return false;
  if (endpoint.kind !== 'branch') return endpoint.supported;
  return childrenOf(document, endpoint.path).some((child) => isUseful(document, child));
}

export function resolve(document: ApiDocument, schema: Schema): Schema {
  if (!schema.$ref) return schema;
  const found = document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {};
  const { $ref: _, ...own } = schema;
  return { ...resolve(document, found), ...own };
}

/** The schema of the body that is sent to an endpoint: of an object of it where it has objects. */
export function bodySchema(document: ApiDocument, endpoint: Endpoint): Schema | null {
  const isNew = endpoint.kind === 'collection' || endpoint.kind === 'store';
  const operation = document.paths[endpoint.path]?.[isNew ? 'post' : 'put'];
  const schema = operation?.requestBody?.content?.['application/json']?.schema;
  return schema ? resolve(document, schema) : null;
}

export function aboutEndpoint(document: ApiDocument, endpoint: Endpoint): string {
  const operations = document.paths[endpoint.path] ?? {};
  return (operations.get ?? operations.post)?.description ?? '';
}

/** "Server certificate CA" for "server_certificate_ca", by the words of the server; a name that is none of words, such as that of an algorithm, as it is. */
export function titleOf(document: ApiDocument | undefined, name: string): string {
  const words = document?.['x-doorward'].words ?? {};
  const parts = name.replace(/^[_@]+|[_@]+$/g, '').split('_');
  const isOfWords = name in words || parts.some((part) => part in words) || /^[A-Za-z_@]+$/.test(name);
  if (!isOfWords) return name;
  const title = words[name] ?? parts.map((part) => words[part] ?? part).join(' ');
  return title.charAt(0).toUpperCase() + title.slice(1);
}

/** The same, for whoever has no document at hand. */
export function useTitle(): (name: string) => string {
  const { data } = useDocument();
  return (name) => titleOf(data, name);
}

/** The title of a member. What its schema refers to has a name of its own, which is not that of the member. */
export const memberTitle = (document: ApiDocument, given: Schema, name: string): string => given.title ?? titleOf(document, name);

/** What a right is for, as people know it: an object of rights, or an endpoint with everything below it. */
export function objectTitle(document: ApiDocument | undefined, object: string): string {
  const title = document?.['x-doorward'].objects[object];
  return title ?? (document && object.startsWith(`${ROOT}/`) ? trail(document, object).join(' › ') : object);
}

/** The titles on the way to a path, without that of the root. */
export function trail(document: ApiDocument, path: string): string[] {
  const parts = path.split('/');
  const found: string[] = [];
  for (let count = 4; count <= parts.length; count += 1) {
    found.push(endpointAt(document, parts.slice(0, count).join('/'))?.title ?? parts[count - 1] ?? '');
  }
  return found;
}

/** The title of a place in a body: its members' titles, as far as the schema has them. */
export function placeTitle(document: ApiDocument, schema: Schema | null, pointer: string): string {
  const titles: string[] = [];
  let at: Schema[] = schema ? [schema] : [];
  for (const raw of pointer.split('/').slice(1)) {
    const step = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    const options = at.map((one) => resolve(document, one)).flatMap((one) => [one, ...(one.anyOf ?? []), ...(one.oneOf ?? [])]);
    const known = options.map((one) => resolve(document, one));
    const members = known.map((one) => one.properties?.[step]).filter((one) => one !== undefined);
    const items = known.map((one) => one.items).filter((one) => one !== undefined);
    const others = known
      .map((one) => one.additionalProperties)
      .filter((one): one is Schema => typeof one === 'object');
    if (members.length) titles.push(memberTitle(document, members[0] ?? {}, step));
    else if (items.length && /^\d+$/.test(step)) titles.push(`${Number(step) + 1}.`);
    else titles.push(titleOf(document, step));
    at = members.length ? members : items.length ? items : others;
  }
  return titles.join(' › ');
}
