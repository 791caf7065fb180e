import { useEffect, useState } from 'react';

/** Count down seconds that were told at a moment of this page's clock; null: nothing is counted. */
export function useSeconds(seconds: number | null, at: number): number | null {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    if (seconds === null) return undefined;
    setNow(performance.now());
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, [seconds, at]);
  return seconds === null ? null : Math.max(0, Math.round(seconds - Math.max(0, now - at) / 1000));
}
