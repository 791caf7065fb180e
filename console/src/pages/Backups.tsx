// How fresh the backups are, and what became of each run.
import { Alert, Button, Card, CardBody, CardTitle, Label, List, ListItem, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { type Answer, type List as Listed, useAnswer, useOrder } from '../api/queries';
import { useRights } from '../api/rights';
import { Refusal } from '../forms/OrderForm';
import { Rows } from '../display/Rows';
import { Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';
import { Drills } from './backups/Drills';
import { Files } from './backups/Files';
import { HostKeys } from './backups/HostKeys';
import { Restore } from './backups/Restore';
import { TargetTest } from './backups/TargetTest';

interface Freshness {
  last_success: { at: string; file: string } | null;
  last_failure: { at: string; message: string } | null;
  next_due: string | null;
  overdue: boolean;
  running: string | null;
  warnings: { code: string; message: string }[];
}
interface Run {
  status: string;
  result: string | null;
  reason: string;
  started?: string | null;
  ended?: string | null;
  message?: string | null;
}

export function Backups() {
  const status = useAnswer<Answer<Freshness>>('/api/backup/status', 'runs');
  const isRunning = !!status.data?.body.running;
  const runs = useAnswer<Listed<Run>>('/api/backup/runs', 'runs');
  const order = useOrder();
  const [restored, setRestored] = useState('');
  const rights = useRights();
  const mayBackUp = rights.mayWrite('/special/backup');
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.backups}</Heading>
      <div className="row">
        {mayBackUp ? (
          <Button variant="primary" isDisabled={isRunning || order.isPending} onClick={() => order.mutate({ method: 'POST', path: '/api/backup/runs', body: {} })}>
            {texts.backups.now}
          </Button>
        ) : null}
        <Button variant="link" onClick={() => void Promise.all([status.refetch(), runs.refetch()])}>
          {texts.refresh}
        </Button>
        <Link to="/settings/$" params={{ _splat: 'policies/backup_policies' }}>
          {texts.backups.policy}
        </Link>
        <Link to="/settings/$" params={{ _splat: 'management/system_backup' }}>
          {texts.backups.schedule}
        </Link>
      </div>
      <Refusal error={order.error} />
      {order.isSuccess ? <Alert isInline variant="success" component="h2" title={texts.backups.started} /> : null}
      <Shown of={status}>{({ body }) => <Fresh body={body} />}</Shown>
      <Shown of={runs}>{({ items }) => <Runs items={items} />}</Shown>
      {mayBackUp ? <TargetTest /> : null}
      {mayBackUp ? <HostKeys /> : null}
      <Files
        onRestore={(name) => {
          setRestored(name);
          document.getElementById('restore')?.scrollIntoView();
        }}
      />
      <Drills mayBegin={mayBackUp} />
      {rights.everything ? <Restore name={restored} /> : null}
    </Stack>
  );
}

function Fresh({ body }: { body: Freshness }) {
  return (
    <Card>
      <CardTitle component="h2">{texts.backups.status}</CardTitle>
      <CardBody>
        <List isPlain>
          <ListItem>
            {texts.backups.last}: {body.last_success ? <Moment at={body.last_success.at} /> : texts.rights.nothing} {body.last_success?.file}
          </ListItem>
          <ListItem>
            {texts.backups.next}: {body.next_due ? <Moment at={body.next_due} /> : texts.rights.nothing}{' '}
            {body.overdue ? <Label color="orange">{texts.backups.overdue}</Label> : null}
          </ListItem>
          {body.last_failure ? (
            <ListItem>
              {texts.backups.problem}: {body.last_failure.message} <Moment at={body.last_failure.at} />
            </ListItem>
          ) : null}
          {body.warnings.map((one) => (
            <ListItem key={one.code}>{one.message}</ListItem>
          ))}
        </List>
      </CardBody>
    </Card>
  );
}

function Runs({ items }: { items: { key: string; body?: Run }[] }) {
  return (
    <Card>
      <CardTitle component="h2">{texts.backups.runs}</CardTitle>
      <CardBody>
        <Rows
          label={texts.backups.runs}
          rows={items}
          keyOf={(item) => item.key}
          empty={{ title: texts.backups.none, text: texts.backups.noneText }}
          columns={[
            { title: texts.backups.time, cell: ({ body }) => <Moment at={body?.started ?? body?.ended} /> },
            { title: texts.backups.state, cell: ({ body }) => <Outcome of={body} /> },
            { title: texts.backups.problem, cell: ({ body }) => body?.message },
          ]}
        />
      </CardBody>
    </Card>
  );
}

const OUTCOMES = { succeeded: 'green', failed: 'red', cancelled: 'grey', skipped: 'grey' } as Record<string, 'green' | 'grey' | 'red'>;

function Outcome({ of }: { of: Run | undefined }) {
  const word = of?.result ?? of?.status ?? '';
  return (
    <Label isCompact color={OUTCOMES[word] ?? 'blue'}>
      {texts.backups.outcomes[word] ?? word}
    </Label>
  );
}
