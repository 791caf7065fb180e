// One commit that waits for other people: what it changes, what it would do now, who said what; and what the reader says.
import { Alert, Button, Card, CardBody, CardTitle, FormGroup, Stack, TextInput } from '@patternfly/react-core';
import { Link, useParams } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';

import { ApiError } from '../../api/client';
import { type Answer, type Change, type PlanBody, useAnswer, useOrder } from '../../api/queries';
import { Refusal } from '../../forms/OrderForm';
import { Asked } from '../../display/Asked';
import { Facts } from '../../display/Facts';
import { Rows } from '../../display/Rows';
import { Heading, Moment, Shown } from '../../display/Shown';
import { texts } from '../../texts';
import { Changes } from '../review/Changes';
import { PlanShown } from '../review/PlanShown';
import { Awaited, State, titleOfProposal } from './Parts';
import { PROPOSALS, type Proposal, isOpen, useIsMine } from '../../api/proposals';

export function OneProposal() {
  const { id } = useParams({ strict: false });
  const href = `${PROPOSALS}/${encodeURIComponent(id ?? '')}`;
  const proposal = useAnswer<Answer<Proposal>>(href, 'runs');
  return (
    <Stack hasGutter>
      <Heading>{proposal.data ? titleOfProposal(proposal.data.body) : texts.pages.proposals}</Heading>
      <Link to="/proposals">{texts.proposals.all}</Link>
      <Shown of={proposal}>
        {({ body }) => (
          <>
            <About proposal={body} />
            <Decision key={body.state} href={href} proposal={body} />
            <Difference href={href} />
            {isOpen(body) ? <Plan href={href} /> : null}
            <Said proposal={body} />
          </>
        )}
      </Shown>
    </Stack>
  );
}

function About({ proposal }: { proposal: Proposal }) {
  const { own } = useIsMine();
  const rows: [string, ReactNode][] = [
    [texts.backups.state, <State key="state" of={proposal} />],
    [texts.history.author, own(proposal) ? texts.proposals.you(proposal.author) : proposal.author],
    [texts.proposals.made, <Moment key="made" at={proposal.created} />],
  ];
  if (isOpen(proposal)) {
    rows.push([texts.proposals.waitsFor, <Awaited key="for" of={proposal} />], [texts.proposals.until, <Moment key="until" at={proposal.expires} />]);
  }
  if (proposal.confirm_seconds) rows.push([texts.review.trialFor, texts.review.seconds(proposal.confirm_seconds)]);
  return (
    <>
      {proposal.revision ? (
        <Alert isInline variant="success" component="h2" title={texts.review.done(proposal.revision)}>
          <Link to="/history">{texts.pages.history}</Link>
        </Alert>
      ) : null}
      {proposal.error ? (
        <Alert isInline variant={isOpen(proposal) ? 'warning' : 'info'} component="h2" title={isOpen(proposal) ? texts.proposals.notDone : texts.proposals.endedBy}>
          {proposal.error.reason ?? proposal.error.message}
          {isOpen(proposal) ? <p>{texts.proposals.next[proposal.state === 'conflicting' ? 'conflicting' : 'failed']}</p> : null}
        </Alert>
      ) : null}
      <Card>
        <CardBody>
          <Facts rows={rows} />
        </CardBody>
      </Card>
    </>
  );
}

/** What the reader can do about it: accept or reject it, or withdraw an own one. */
function Decision({ href, proposal }: { href: string; proposal: Proposal }) {
  const { own, decidable } = useIsMine();
  const order = useOrder<Answer<Proposal>>();
  const [reason, setReason] = useState('');
  const [isAsked, setAsked] = useState(false);
  const decide = (decision: 'accept' | 'reject') => order.mutate({ method: 'PUT', path: href, body: { decision, reason: reason.trim() || null } });
  if (!isOpen(proposal)) return null;
  if (own(proposal)) {
    return (
      <div>
        <Refusal error={order.error} />
        <Button variant="secondary" isDanger isDisabled={order.isPending} onClick={() => setAsked(true)}>
          {texts.proposals.withdraw}
        </Button>
        <Asked
          isOpen={isAsked}
          title={texts.proposals.withdrawTitle}
          text={texts.proposals.withdrawText}
          action={texts.proposals.withdraw}
          isBusy={order.isPending}
          onNo={() => setAsked(false)}
          onYes={() => order.mutate({ method: 'DELETE', path: href }, { onSettled: () => setAsked(false) })}
        />
      </div>
    );
  }
  if (!decidable(proposal)) return null;
  return (
    <Card>
      <CardTitle component="h2">{texts.proposals.decide}</CardTitle>
      <CardBody>
        <Stack hasGutter>
          <Refusal error={order.error instanceof ApiError ? order.error : null} />
          <FormGroup label={texts.proposals.reason} fieldId="reason">
            <TextInput id="reason" value={reason} maxLength={4096} onChange={(_, value) => setReason(value)} />
          </FormGroup>
          <div className="row">
            <Button variant="primary" isDisabled={order.isPending} isLoading={order.isPending} onClick={() => decide('accept')}>
              {texts.proposals.accept}
            </Button>
            <Button variant="secondary" isDanger isDisabled={order.isPending} onClick={() => decide('reject')}>
              {texts.proposals.reject}
            </Button>
          </div>
        </Stack>
      </CardBody>
    </Card>
  );
}

function Difference({ href }: { href: string }) {
  const changes = useAnswer<{ changes: Change[]; meta: { hidden?: Record<string, number> } }>(`${href}/changes`);
  return (
    <Shown of={changes}>
      {(found) => (
        <>
          {found.meta.hidden ? <Alert isInline variant="warning" component="h2" title={texts.proposals.hidden} /> : null}
          <Changes changes={found.changes} />
        </>
      )}
    </Shown>
  );
}

function Plan({ href }: { href: string }) {
  const plan = useAnswer<Answer<PlanBody>>(`${href}/plan`, 'runs');
  return (
    <Card>
      <CardTitle component="h2">{texts.proposals.plan}</CardTitle>
      <CardBody>
        <Shown of={plan}>{({ body }) => <PlanShown body={body} />}</Shown>
      </CardBody>
    </Card>
  );
}

function Said({ proposal }: { proposal: Proposal }) {
  if (!proposal.decisions.length) return null;
  return (
    <Card>
      <CardTitle component="h2">{texts.proposals.said}</CardTitle>
      <CardBody>
        <Rows
          label={texts.proposals.said}
          rows={proposal.decisions}
          keyOf={(one) => one.user + one.time}
          columns={[
            { title: texts.proposals.who, cell: (one) => one.user },
            { title: texts.proposals.decision, cell: (one) => `${texts.proposals.decisions[one.decision]}${one.void ? ` (${texts.proposals.void})` : ''}` },
            { title: texts.proposals.why, cell: (one) => one.reason ?? texts.rights.nothing },
            { title: texts.history.time, cell: (one) => <Moment at={one.time} /> },
          ]}
        />
      </CardBody>
    </Card>
  );
}
