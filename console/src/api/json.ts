// JSON as the server sends it, and places in it.
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Members = { [name: string]: Json };

export const isMembers = (value: Json | undefined): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A name, or the number of an entry, as a step of a pointer (RFC 6901). */
export const step = (name: string | number) => String(name).replaceAll('~', '~0').replaceAll('/', '~1');
