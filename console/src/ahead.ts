// The player fetches what it plays itself, and only once it has come itself: its index, which the page had before, and then the
// segment. What is handed over here was asked for meanwhile, and answers the next fetch of its address.
const waiting = new Map<string, Promise<Response>>();
const direct = globalThis.fetch.bind(globalThis);
const absolute = (url: string) => new URL(url, location.href).href;

globalThis.fetch = (input, init) => {
  const url = typeof input === 'string' ? absolute(input) : '';
  const found = waiting.get(url);
  waiting.delete(url);
  return found ?? direct(input, init);
};

/** Have an answer for the next fetch of an address. One that fails is for whoever fetches it. */
export function ahead(url: string, answer: Promise<Response>): void {
  answer.catch(() => undefined);
  waiting.set(absolute(url), answer);
}
