// Sessions: those that run, and all that were, found by filters that stand in the address.
import { Stack } from '@patternfly/react-core';

import { Heading } from '../display/Shown';
import { texts } from '../texts';
import { Found } from './sessions/Found';
import { LiveSessions } from './sessions/LiveSessions';

export function Sessions() {
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.sessions}</Heading>
      <LiveSessions />
      <Found />
    </Stack>
  );
}
