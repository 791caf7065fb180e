// What is told to whom when something happens, and whether mail gets through.
import { Alert, Card, CardBody, CardTitle, Label, Stack } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { ROOT, titleOf, useDocument } from '../api/document';
import { type Answer, useNode } from '../api/queries';
import { OrderForm } from '../forms/OrderForm';
import { isMembers } from '../forms/schema';
import { Heading, Shown } from '../frame/Shown';
import { texts } from '../texts';

const PLACES = { events: 'alerting/system_alerts', mail: 'management/email', syslog: 'management/syslog', snmp: 'management/snmp' } as const;
const WAYS = ['email', 'snmp'] as const;

interface Tried {
  message: string;
  result: 'failed' | 'sent';
}

export function Alerts() {
  const events = useNode(`${ROOT}/${PLACES.events}`);
  const document = useDocument();
  const [tried, setTried] = useState<Tried | null>(null);
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.alerts}</Heading>
      <div className="row">
        {Object.entries(PLACES).map(([name, path]) => (
          <Link key={path} to="/settings/$" params={{ _splat: path }}>
            {texts.alerts[name as keyof typeof PLACES]}
          </Link>
        ))}
      </div>
      <Card>
        <CardTitle component="h2">{texts.alerts.matrix}</CardTitle>
        <CardBody>
          <Shown of={events}>
            {({ body }) => (
              <Table variant="compact" aria-label={texts.alerts.matrix}>
                <Thead>
                  <Tr>
                    <Th>{texts.alerts.event}</Th>
                    {WAYS.map((way) => (
                      <Th key={way}>{texts.alerts.ways[way]}</Th>
                    ))}
                  </Tr>
                </Thead>
                <Tbody>
                  {Object.entries(isMembers(body) ? body : {}).map(([name, value]) => (
                    <Tr key={name}>
                      <Td dataLabel={texts.alerts.event}>{titleOf(name)}</Td>
                      {WAYS.map((way) => (
                        <Td key={way} dataLabel={texts.alerts.ways[way]}>
                          {isMembers(value) && value[way] ? <Label isCompact color="green">{texts.alerts.told}</Label> : texts.rights.nothing}
                        </Td>
                      ))}
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            )}
          </Shown>
        </CardBody>
      </Card>
      <Card>
        <CardTitle component="h2">{texts.alerts.test}</CardTitle>
        <CardBody>
          {tried ? (
            <Alert isInline variant={tried.result === 'sent' ? 'success' : 'danger'} component="h3" title={tried.result === 'sent' ? texts.alerts.sent : texts.alerts.failed}>
              {tried.message}
            </Alert>
          ) : null}
          <Shown of={document}>
            {(found) => (
              <OrderForm<Answer<Tried>>
                document={found}
                method="POST"
                path="/api/tools/mailtest"
                submit={texts.alerts.send}
                onDone={({ body }) => setTried(body)}
              />
            )}
          </Shown>
        </CardBody>
      </Card>
    </Stack>
  );
}
