// One line about an object. Pure.
import { type Json, isMembers } from '../../api/json';
import { nameOf } from '../../forms/schema';

const MOST = 4;

export function summary(body: Json | undefined): string {
  if (!isMembers(body)) return '';
  const told: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (name === 'name' || name.startsWith('@')) continue;
    const text = nameOf(value);
    if (text) told.push(text);
    if (told.length === MOST) break;
  }
  return told.join(', ');
}
