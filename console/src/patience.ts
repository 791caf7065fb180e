// Asks for what is not there yet, such as a recording on its way from the archive, until it has come.
import { texts } from './texts';

const MAX_SECONDS = 60;

export interface Refused {
  error?: { message?: string; details?: { code?: string; certificates?: string[] } };
}

/** Fetch, and fetch again when the server says so. ``wait`` is told why, in words, and with "" that it is over. Throws where nobody answers. */
export async function patiently(url: string, wait: (text: string) => void): Promise<Response> {
  const began = performance.now();
  for (;;) {
    const answer = await fetch(url, { headers: { 'X-Requested-With': 'fetch' } }).catch(() => {
      throw new Error(texts.unreachable);
    });
    const seconds = Number(answer.headers.get('Retry-After'));
    if (answer.status !== 503 || !(seconds > 0)) {
      wait('');
      return answer;
    }
    const { error } = (await answer.json().catch(() => ({}))) as Refused;
    const since = Math.round((performance.now() - began) / 1000);
    wait(error?.details?.code === 'fetching' ? texts.replay.fetching(since) : texts.replay.again(error?.message ?? texts.replay.failed, seconds));
    await new Promise((resolve) => setTimeout(resolve, Math.min(seconds, MAX_SECONDS) * 1000));
  }
}
