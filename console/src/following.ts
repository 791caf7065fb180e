// What the player plays while a session runs: the server's events, whose first one is named and holds the size of the screen.
import { texts } from './texts';

interface Tools {
  dispatch: (name: string, data?: unknown) => void;
}

interface Driver {
  play: () => boolean;
  stop: () => void;
  getTiming: () => { time: number; rate: number };
}

export function following(url: string, tell: (text: string) => void): (tools: Tools) => Driver {
  return ({ dispatch }) => {
    let source: EventSource | null = null;
    let time = 0;

    function begin(): EventSource {
      const opened = new EventSource(url);
      opened.addEventListener('start', (event) => {
        const head = JSON.parse(event.data as string) as { width: number; height: number };
        dispatch('reset', { size: { cols: head.width, rows: head.height } });
        dispatch('playing');
      });
      opened.onmessage = (event) => {
        const [at, code, data] = JSON.parse(event.data as string) as [number, string, string];
        time = at;
        if (code === 'o') dispatch('output', data);
        const size = /^(\d+)x(\d+)$/.exec(data);
        if (code === 'r' && size) dispatch('resize', { cols: Number(size[1]), rows: Number(size[2]) });
      };
      opened.addEventListener('end', (event) => {
        opened.close();
        dispatch('ended', { message: texts.sessions.over });
        tell((JSON.parse(event.data as string) as { reason: string }).reason);
      });
      opened.onerror = () => {
        opened.close();
        tell(texts.sessions.over);
      };
      return opened;
    }

    return {
      play: () => {
        dispatch('play');
        source ??= begin();
        return true;
      },
      stop: () => source?.close(),
      getTiming: () => ({ time, rate: 1 }),
    };
  };
}
