// Sessions: those that run, and all that were, found by filters that stand in the address.
import { Stack } from '@patternfly/react-core';

import { Heading } from '../frame/Shown';
import { texts } from '../texts';
import { Found } from './sessions/Found';
import { LiveSessions } from './sessions/LiveSessions';

export interface SessionSearch {
  q?: string | undefined;
  content?: string | undefined;
  start?: string | undefined;
  end?: string | undefined;
  offset?: number | undefined;
}

export function Sessions() {
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.sessions}</Heading>
      <LiveSessions />
      <Found />
    </Stack>
  );
}
