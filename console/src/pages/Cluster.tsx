// The nodes of the cluster, how they do, and how nodes come and go.
import { Alert, Button, Card, CardBody, CardTitle, Label, Stack } from '@patternfly/react-core';
import { useState } from 'react';

import { ApiError } from '../api/client';
import { type ApiDocument, useDocument } from '../api/document';
import type { Json } from '../api/json';
import { type Answer, type List, useAnswer, useChange } from '../api/queries';
import { useRights } from '../api/rights';
import { OrderForm, Refusal } from '../forms/OrderForm';
import { Asked } from '../display/Asked';
import { Rows } from '../display/Rows';
import { Secret } from '../display/Secret';
import { Empty, Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';
import { Accept } from './cluster/Accept';

interface Node {
  key: string;
  fqdn?: string | null;
  status?: 'issues' | 'offline' | 'ok';
  sync_status?: string;
  last_seen?: string | null;
  version?: string | null;
}
interface Member {
  address: string;
  roles: string[];
}
interface Joining {
  status: 'in cluster' | 'join failed' | 'join requested' | 'not in cluster';
  details: { central_management_address?: string; reason?: string | null; last_attempt?: string | null };
}
const NODES = '/api/cluster/nodes';
const JOIN = '/api/cluster/join_request';
const COLOURS = { ok: 'green', issues: 'orange', offline: 'red' } as const;

export function Cluster() {
  const document = useDocument();
  const joining = useAnswer<Joining>(JOIN, 'cluster');
  const members = useAnswer<List<Member>>(NODES, 'cluster');
  const rights = useRights();
  const isCentral = members.data?.items.some((one) => one.body?.roles.includes('central-management')) ?? false;
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.cluster}</Heading>
      <Shown of={joining}>
        {(state) => (
          <>
            {state.status === 'not in cluster' && !members.data?.items.length ? <Empty title={texts.cluster.alone} text={texts.cluster.aloneText} /> : null}
            {state.status === 'join requested' || state.status === 'join failed' ? <Waits state={state} /> : null}
            {members.data?.items.length ? <Nodes members={members.data} mayRemove={isCentral && rights.mayWrite('/special/cluster')} /> : null}
            <Shown of={document}>
              {(found) =>
                state.status === 'not in cluster' && !members.data?.items.length ? (
                  !rights.everything ? null : <Begin document={found} />
                ) : (
                  <>
                    {isCentral && rights.mayWrite('/special/cluster') ? <Accept document={found} /> : null}
                    {state.status !== 'not in cluster' && !isCentral && rights.mayWrite('/special/cluster') ? <Leave isWaiting={state.status !== 'in cluster'} /> : null}
                  </>
                )
              }
            </Shown>
          </>
        )}
      </Shown>
    </Stack>
  );
}

function Waits({ state }: { state: Joining }) {
  return (
    <Alert
      isInline
      variant={state.status === 'join failed' ? 'danger' : 'info'}
      component="h2"
      title={texts.cluster.asked(state.details.central_management_address ?? '')}
    >
      {state.details.reason}
    </Alert>
  );
}

function Nodes({ members, mayRemove }: { members: List<Member>; mayRemove: boolean }) {
  const status = useAnswer<{ items: Node[] }>('/api/cluster/status', 'cluster');
  const change = useChange();
  const [removed, setRemoved] = useState<string | null>(null);
  const of = (key: string) => status.data?.items.find((one) => one.key === key);
  return (
    <>
      <Refusal error={change.error} />
      <Rows
        label={texts.cluster.nodes}
        rows={members.items}
        keyOf={(one) => one.key}
        columns={[
          {
            title: texts.cluster.nodes,
            cell: (one) => `${of(one.key)?.fqdn ?? one.key} (${one.body?.address ?? ''}) ${of(one.key)?.version ?? ''}`,
          },
          {
            title: texts.cluster.roles,
            cell: (one) => (
              <div className="row">
                {(one.body?.roles ?? []).map((role) => (
                  <Label key={role} isCompact>
                    {role}
                  </Label>
                ))}
              </div>
            ),
          },
          { title: texts.cluster.state, cell: (one) => <State of={of(one.key)} /> },
          { title: texts.cluster.sync, cell: (one) => of(one.key)?.sync_status },
        ]}
        actions={(one) => {
          const name = of(one.key)?.fqdn ?? one.key;
          return mayRemove && !one.body?.roles.includes('central-management') ? (
            <Button variant="link" isInline isDanger aria-label={`${texts.settings.remove}: ${name}`} onClick={() => setRemoved(one.key)}>
              {texts.settings.remove}
            </Button>
          ) : null;
        }}
      />
      <Asked
        isOpen={removed !== null}
        title={texts.settings.removeTitle(removed ? (of(removed)?.fqdn ?? removed) : '')}
        text={texts.cluster.removeText}
        action={texts.settings.remove}
        isBusy={change.isPending}
        onNo={() => setRemoved(null)}
        onYes={() => change.mutate({ method: 'DELETE', path: `${NODES}/${removed ?? ''}` }, { onSettled: () => setRemoved(null) })}
      />
    </>
  );
}

function State({ of }: { of: Node | undefined }) {
  if (!of?.status) return <>{texts.cluster.unseen}</>;
  return (
    <>
      <Label isCompact color={COLOURS[of.status]}>
        {texts.cluster.states[of.status]}
      </Label>{' '}
      <Moment at={of.last_seen} />
    </>
  );
}

/** What a node that stands alone can do: begin a cluster, or ask to join one. */
function Begin({ document }: { document: ApiDocument }) {
  const change = useChange();
  const [code, setCode] = useState<Json | null>(null);
  return (
    <>
      <Card>
        <CardTitle component="h2">{texts.cluster.promote}</CardTitle>
        <CardBody>
          <p>{texts.cluster.promoteText}</p>
          <Refusal error={change.error} />
          {change.isSuccess ? <Alert isInline variant="success" component="h3" title={texts.settings.saved} /> : null}
          <Button variant="secondary" isDisabled={change.isPending} onClick={() => change.mutate({ method: 'POST', path: '/api/cluster/promote', body: {} })}>
            {texts.cluster.promote}
          </Button>
        </CardBody>
      </Card>
      <Card>
        <CardTitle component="h2">{texts.cluster.join}</CardTitle>
        <CardBody>
          <p>{texts.cluster.joinText}</p>
          {code ? (
            <Alert isInline variant="success" component="h3" title={texts.cluster.code}>
              <Secret title={texts.cluster.code}>{JSON.stringify(code)}</Secret>
            </Alert>
          ) : null}
          <OrderForm<Answer<Json>> document={document} method="POST" path={JOIN} submit={texts.cluster.join} onDone={({ body }) => setCode(body)} />
        </CardBody>
      </Card>
    </>
  );
}

function Leave({ isWaiting }: { isWaiting: boolean }) {
  const change = useChange();
  const [isAsked, setAsked] = useState(false);
  return (
    <div>
      <Refusal error={change.error instanceof ApiError ? change.error : null} />
      <Button variant="danger" onClick={() => setAsked(true)}>
        {isWaiting ? texts.cluster.withdraw : texts.cluster.leave}
      </Button>
      <Asked
        isOpen={isAsked}
        title={isWaiting ? texts.cluster.withdraw : texts.cluster.leave}
        text={texts.cluster.leaveText}
        action={isWaiting ? texts.cluster.withdraw : texts.cluster.leave}
        isBusy={change.isPending}
        onNo={() => setAsked(false)}
        onYes={() => change.mutate({ method: 'DELETE', path: JOIN }, { onSettled: () => setAsked(false) })}
      />
    </div>
  );
}
