// Takes values apart into lines. Pure.
import { type Json, isMembers, step } from '../../api/json';
import { ORDER } from '../../forms/schema';

/** Every leaf of a value with its pointer; references are their keys. */
export function leaves(value: Json, at = ''): [string, string][] {
  if (Array.isArray(value)) {
    return value.length ? value.flatMap((one, index) => leaves(one, `${at}/${index}`)) : [[at, '[]']];
  }
  if (isMembers(value)) {
    if (typeof value.key === 'string' && isMembers(value.meta)) return [[at, value.key]];
    const members = Object.entries(value).filter(([name]) => name !== ORDER);
    return members.length ? members.flatMap(([name, one]) => leaves(one, `${at}/${step(name)}`)) : [[at, '{}']];
  }
  return [[at, value === null ? '–' : String(value)]];
}
