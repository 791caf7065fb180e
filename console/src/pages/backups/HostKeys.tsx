// What an SSH server shows as its host keys: to be compared by a person, and put into a target.
import { Alert, Card, CardBody, CardTitle, ExpandableSection, Stack } from '@patternfly/react-core';
import { useState } from 'react';

import { useDocument } from '../../api/document';
import type { Answer } from '../../api/queries';
import { OrderForm } from '../../forms/OrderForm';
import { Secret } from '../../display/Secret';
import { Shown } from '../../display/Shown';
import { texts } from '../../texts';

interface Asked {
  code: string | null;
  message: string | null;
  host_keys: { fingerprint: string; public_key: string }[];
}

const typeOf = (key: string) => key.split(' ')[0] ?? '';

export function HostKeys() {
  const document = useDocument();
  const [asked, setAsked] = useState<Asked | null>(null);
  return (
    <Card>
      <CardTitle component="h2">{texts.backups.hostKeys}</CardTitle>
      <CardBody>
        <p>{texts.backups.hostKeysText}</p>
        <ExpandableSection toggleText={texts.backups.askHostKeys}>
          <Shown of={document}>
            {(found) => (
              <OrderForm<Answer<Asked>> document={found} method="POST" path="/api/backup/host_keys" submit={texts.backups.askServer} onDone={({ body }) => setAsked(body)} />
            )}
          </Shown>
        </ExpandableSection>
        {asked?.message ? <Alert isInline variant="warning" component="h3" title={asked.message} /> : null}
        <Stack hasGutter>
          {asked?.host_keys.map((one) => (
            <div key={one.fingerprint}>
              <p>
                {typeOf(one.public_key)} <span className="value">{one.fingerprint}</span>
              </p>
              <Secret title={`${texts.backups.hostKey}: ${typeOf(one.public_key)}`}>{one.public_key}</Secret>
            </div>
          ))}
        </Stack>
      </CardBody>
    </Card>
  );
}
