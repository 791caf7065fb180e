import { ROOT } from './document';

/** The part of a path of the API that stands in the address of its page. */
export const settingsPath = (path: string) => (path.split('#')[0] ?? '').slice(ROOT.length + 1);
