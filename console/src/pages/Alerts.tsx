// What is told to whom when something happens, and whether mail gets through.
import { Alert, Card, CardBody, CardTitle, Label, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { ROOT, useDocument, useTitle } from '../api/document';
import { type Json, isMembers } from '../api/json';
import { type Answer, useNode } from '../api/queries';
import { OrderForm } from '../forms/OrderForm';
import { Rows } from '../display/Rows';
import { Heading, Shown } from '../display/Shown';
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
  const titleOf = useTitle();
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
              <Rows
                label={texts.alerts.matrix}
                rows={Object.entries(isMembers(body) ? body : {})}
                keyOf={([name]) => name}
                columns={[
                  { title: texts.alerts.event, cell: ([name]) => titleOf(name) },
                  ...WAYS.map((way) => ({
                    title: texts.alerts.ways[way],
                    cell: ([, value]: [string, Json]) =>
                      isMembers(value) && value[way] ? <Label isCompact color="green">{texts.alerts.told}</Label> : texts.rights.nothing,
                  })),
                ]}
              />
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
