// Where the host is not what the configuration says, and what can be done about it.
import { Alert, Button, Card, CardBody, CardTitle, List as Lines, ListItem, Stack } from '@patternfly/react-core';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';

import { useDocument, trail } from '../api/document';
import { type Answer, type Told, useAnswer, useOrder } from '../api/queries';
import { useRights } from '../api/rights';
import { Refusal } from '../forms/OrderForm';
import { Asked } from '../display/Asked';
import { Empty, Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';
import { settingsPath } from '../api/paths';

interface Difference {
  expected: string;
  found: string;
  message: string;
  path: string;
  resource: string;
  since: string;
}

export function Drift() {
  const drift = useAnswer<{ drift: Difference[] }>('/api/drift', 'health');
  const navigate = useNavigate();
  const adopt = useOrder<Answer<unknown>>();
  const repair = useOrder();
  const [isAsked, setAsked] = useState(false);
  const rights = useRights();
  const left: Told[] = adopt.data?.meta.warnings ?? [];
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.drift}</Heading>
      <div className="row">
        <Link to="/settings/$" params={{ _splat: 'management/drift' }}>
          {texts.drift.rules}
        </Link>
        <Button variant="link" onClick={() => void drift.refetch()}>
          {texts.refresh}
        </Button>
      </div>
      <Refusal error={adopt.error ?? repair.error} />
      {repair.isSuccess ? <Alert isInline variant="success" component="h2" title={texts.drift.repaired} /> : null}
      {adopt.isSuccess ? (
        <Alert isInline variant={left.length ? 'warning' : 'success'} component="h2" title={left.length ? texts.drift.notAll : texts.history.undone}>
          {left.length ? (
            <Lines isPlain>
              {left.map((one) => (
                <ListItem key={one.path + one.message}>{one.message}</ListItem>
              ))}
            </Lines>
          ) : null}
          <Button variant="link" isInline onClick={() => void navigate({ to: '/review' })}>
            {texts.pending.review}
          </Button>
        </Alert>
      ) : null}
      <Shown of={drift}>
        {({ drift: found }) =>
          found.length ? (
            <>
              <div className="row">
                {rights.everything ? (
                  <Button variant="primary" isDisabled={repair.isPending} onClick={() => setAsked(true)}>
                    {texts.drift.repair}
                  </Button>
                ) : null}
                <Button variant="secondary" isDisabled={adopt.isPending} onClick={() => adopt.mutate({ method: 'POST', path: '/api/drift/adopt', body: {} })}>
                  {texts.drift.adopt}
                </Button>
              </div>
              {found.map((one) => (
                <OneDifference key={one.resource + one.message} difference={one} />
              ))}
            </>
          ) : (
            <Empty title={texts.drift.none} text={texts.drift.noneText} />
          )
        }
      </Shown>
      <Asked
        isOpen={isAsked}
        title={texts.drift.repairTitle}
        text={texts.drift.repairText}
        action={texts.drift.repair}
        isBusy={repair.isPending}
        onNo={() => setAsked(false)}
        onYes={() => repair.mutate({ method: 'POST', path: '/api/drift/repair', body: {} }, { onSettled: () => setAsked(false) })}
      />
    </Stack>
  );
}

function OneDifference({ difference }: { difference: Difference }) {
  const document = useDocument();
  return (
    <Card isCompact>
      <CardTitle component="h2">{difference.resource}</CardTitle>
      <CardBody>
        <p>{difference.message}</p>
        <p>
          {texts.drift.since} <Moment at={difference.since} />
          {' · '}
          <Link to="/settings/$" params={{ _splat: settingsPath(difference.path) }}>
            {document.data ? trail(document.data, difference.path).join(' › ') : difference.path}
          </Link>
        </p>
        {difference.expected ? (
          <p>
            {texts.drift.expected}: <span className="value">{difference.expected}</span>
          </p>
        ) : null}
        {difference.found ? (
          <>
            <p>{texts.drift.found}:</p>
            <pre className="value">{difference.found}</pre>
          </>
        ) : null}
      </CardBody>
    </Card>
  );
}
