// The commit: at once, on trial, or, where it takes other people, as a proposal to them.
import {
  ActionGroup, Alert, Button, Card, CardBody, CardTitle, Form, FormGroup, FormHelperText, FormSelect, FormSelectOption, HelperText,
  HelperTextItem, TextInput,
} from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';

import { ApiError } from '../../api/client';
import { ROOT } from '../../api/document';
import { isMembers } from '../../api/json';
import { type Answer, forget, useNode, useOrder, usePlan, useTransaction, useUser } from '../../api/queries';
import { useRights } from '../../api/rights';
import { Asked } from '../../display/Asked';
import { texts } from '../../texts';
import { ToldList } from './PlanShown';

const TRIALS = [30, 60, 300, 600, 1800];
const APPROVAL = `${ROOT}/management/change_approval`;

/** Whether the reader may go ahead in an emergency, as far as that can be known beforehand. */
function useMayHurry(isGuarded: boolean): boolean {
  const user = useUser().data?.body;
  const mayRead = useRights().mayRead('/special/basic', APPROVAL);
  const settings = useNode(APPROVAL, isGuarded && mayRead).data?.body;
  return isGuarded && isMembers(settings) && (user?.groups.includes(String(settings.emergency_group)) ?? false);
}

export function Commit({ onDone }: { onDone: (revision: number) => void }) {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const status = useTransaction();
  const approval = usePlan().data?.body.warnings.find((one) => one.code === 'approval_required');
  const mayHurry = useMayHurry(!!approval);
  const order = useOrder<Answer<unknown>>();
  const [message, setMessage] = useState('');
  const [seconds, setSeconds] = useState(60);
  const [isAsked, setAsked] = useState(false);
  const isRequired = status.data?.body.commit_message === 'required';
  const isBlocked = order.isPending || (isRequired && !message.trim());
  const error = order.error instanceof ApiError ? order.error : null;

  function commit(more: { confirm_seconds?: number; emergency?: boolean } = {}) {
    const body = { status: 'commit', ...(message.trim() ? { commit_message: message } : {}), ...more };
    // A promise: this form is gone as soon as nothing is pending any more.
    order.mutateAsync({ method: 'PUT', path: '/api/transaction', body }).then(
      ({ meta }) => {
        if (typeof meta.proposal === 'string') void navigate({ to: '/proposals/$id', params: { id: meta.proposal.split('/').at(-1) ?? '' } });
        else onDone(Number(meta.revision));
      },
      () => forget(cache),
    );
  }

  return (
    <Card>
      <CardTitle component="h2">{approval ? texts.proposals.propose : texts.review.commit}</CardTitle>
      <CardBody>
        <Form onSubmit={(event) => event.preventDefault()}>
          {error ? <Refused error={error} /> : null}
          {approval ? <Alert isInline variant="info" component="h3" title={approval.message} /> : null}
          <FormGroup label={texts.review.message} fieldId="message" isRequired={isRequired}>
            <TextInput id="message" value={message} onChange={(_, value) => setMessage(value)} maxLength={4096} aria-describedby="message-help" />
            <FormHelperText>
              <HelperText id="message-help">
                <HelperTextItem>{texts.review.messageHelp}</HelperTextItem>
              </HelperText>
            </FormHelperText>
          </FormGroup>
          <FormGroup label={texts.review.trialFor} fieldId="trial">
            <FormSelect id="trial" value={String(seconds)} onChange={(_, value) => setSeconds(Number(value))}>
              {TRIALS.map((one) => (
                <FormSelectOption key={one} value={String(one)} label={texts.review.seconds(one)} />
              ))}
            </FormSelect>
          </FormGroup>
          <ActionGroup>
            <Button variant="primary" isDisabled={isBlocked} isLoading={order.isPending} onClick={() => commit()}>
              {approval ? texts.proposals.propose : texts.review.commit}
            </Button>
            <Button variant="secondary" isDisabled={isBlocked} onClick={() => commit({ confirm_seconds: seconds })}>
              {approval ? texts.proposals.proposeTrial : texts.review.trial}
            </Button>
            {mayHurry ? (
              <Button variant="secondary" isDanger isDisabled={order.isPending || !message.trim()} onClick={() => setAsked(true)}>
                {texts.proposals.emergency}
              </Button>
            ) : null}
          </ActionGroup>
        </Form>
        <Asked
          isOpen={isAsked}
          title={texts.proposals.emergencyTitle}
          text={texts.proposals.emergencyText}
          action={texts.proposals.emergency}
          isBusy={order.isPending}
          onNo={() => setAsked(false)}
          onYes={() => {
            setAsked(false);
            commit({ emergency: true });
          }}
        />
      </CardBody>
    </Card>
  );
}

function Refused({ error }: { error: ApiError }) {
  // They may stand above already, out of sight.
  useEffect(() => {
    if (error.conflicts.length) document.getElementById('conflicts')?.scrollIntoView({ block: 'start' });
  }, [error]);
  // Conflicts are asked for by the plan, which is new by now.
  if (error.conflicts.length) return null;
  const told = error.problems.map((one) => ({ path: '', pointer: '', ...one }));
  return (
    <>
      <Alert isInline variant="danger" component="h3" title={error.message}>
        {typeof error.told.details?.reason === 'string' ? error.told.details.reason : null}
      </Alert>
      <ToldList title={texts.review.problems} variant="danger" told={told} />
    </>
  );
}
