// What every page shows above itself: a lost server, a commit on trial, changes that are not in effect.
import { Alert, AlertActionLink, Button, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';

import { type Topic, useLive } from '../api/live';
import { forget, renew, useChanges, useOrder, useUser } from '../api/queries';
import { useWaitingForMe } from '../api/proposals';
import { texts } from '../texts';
import { useSeconds } from '../display/useSeconds';

export function Bars() {
  const live = useLive();
  const cache = useQueryClient();
  const seen = useRef<number | null>(null);
  const revision = live.state?.revision ?? null;
  useEffect(() => {
    if (revision !== null && seen.current !== null && revision !== seen.current) void forget(cache);
    seen.current = revision;
  }, [revision, cache]);
  const news = live.state?.news;
  const heard = useRef(news);
  useEffect(() => {
    for (const topic of Object.keys(news ?? {}) as Topic[]) {
      if (heard.current && heard.current[topic] !== news?.[topic]) void renew(cache, topic);
    }
    if (news) heard.current = news;
  }, [news, cache]);
  // What could not be asked for while the server was away.
  const wasLost = useRef(false);
  useEffect(() => {
    if (wasLost.current && live.link === 'open') void cache.invalidateQueries();
    wasLost.current = live.link === 'lost';
  }, [live.link, cache]);
  return (
    <div className="bars">
      {live.link === 'lost' ? <Alert isInline variant="warning" component="h2" title={texts.frame.lost} /> : null}
      <TrialBar />
      <ProposalsBar />
      <PendingBar />
    </div>
  );
}

function TrialBar() {
  const live = useLive();
  const user = useUser();
  const order = useOrder();
  const trial = live.state?.trial ?? null;
  const left = useSeconds(trial?.remaining ?? null, live.at);
  if (!trial) return null;
  const isMine = trial.user === user.data?.body.name || trial.failure !== null;
  return (
    <Alert
      isInline
      variant={trial.failure ? 'danger' : 'warning'}
      component="h2"
      title={texts.trial.title(trial.user, trial.revision)}
      actionLinks={
        isMine ? (
          <AlertActionLink isDisabled={order.isPending} onClick={() => order.mutate({ method: 'PUT', path: '/api/transaction', body: { status: 'confirm' } })}>
            {texts.trial.confirm}
          </AlertActionLink>
        ) : undefined
      }
    >
      <span role="timer">{trial.failure ? texts.trial.failed(trial.failure) : texts.trial.left(left ?? 0)}</span>
      {order.error ? <p>{order.error.message}</p> : null}
    </Alert>
  );
}

/** That others wait for the reader, wherever the reader is. */
function ProposalsBar() {
  const navigate = useNavigate();
  const mine = useWaitingForMe();
  const [first] = mine;
  const isThere = useRouterState({ select: (state) => state.location.pathname.startsWith('/proposals') });
  if (!first || isThere) return null;
  const look = () => (mine.length === 1 ? navigate({ to: '/proposals/$id', params: { id: first.key } }) : navigate({ to: '/proposals' }));
  return (
    <Alert
      isInline
      variant="info"
      component="h2"
      title={texts.proposals.mine(mine.length)}
      actionLinks={<AlertActionLink onClick={() => void look()}>{texts.proposals.look}</AlertActionLink>}
    />
  );
}

function PendingBar() {
  const changes = useChanges();
  const order = useOrder();
  const navigate = useNavigate();
  const [isAsked, setAsked] = useState(false);
  const count = changes.data?.changes.length ?? 0;
  if (!count) return null;
  return (
    <>
      <Alert
        isInline
        variant="info"
        component="h2"
        title={texts.pending.count(count)}
        actionLinks={
          <>
            <AlertActionLink onClick={() => void navigate({ to: '/review' })}>{texts.pending.review}</AlertActionLink>
            <AlertActionLink onClick={() => setAsked(true)}>{texts.pending.discard}</AlertActionLink>
          </>
        }
      />
      <Modal isOpen={isAsked} variant="small" aria-labelledby="discard" onClose={() => setAsked(false)}>
        <ModalHeader title={texts.pending.discardTitle} labelId="discard" />
        <ModalBody>{texts.pending.discardText}</ModalBody>
        <ModalFooter>
          <Button
            variant="danger"
            onClick={() => order.mutate({ method: 'DELETE', path: '/api/transaction' }, { onSuccess: () => setAsked(false) })}
          >
            {texts.pending.discard}
          </Button>
          <Button variant="link" onClick={() => setAsked(false)}>
            {texts.pending.keep}
          </Button>
        </ModalFooter>
      </Modal>
    </>
  );
}
