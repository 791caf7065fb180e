// What the transaction changes, what its commit would do, and the commit.
import {
  ActionGroup, Alert, Button, Card, CardBody, CardTitle, Form, FormGroup, FormHelperText, FormSelect, FormSelectOption,
  HelperText, HelperTextItem, Label, List, ListItem, Stack, StackItem, TextInput,
} from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { ApiError } from '../api/client';
import { useDocument } from '../api/document';
import { type Answer, type PlanBody, type Told, forget, useChanges, useOrder, usePlan, useTransaction } from '../api/queries';
import { Empty, Heading, Shown } from '../frame/Shown';
import { texts } from '../texts';
import { Changes, Raw } from './review/Changes';
import { Conflicts } from './review/Conflicts';
import { settingsPath } from './settings/paths';

const TRIALS = [30, 60, 300, 600, 1800];

export function Review() {
  const changes = useChanges();
  const [done, setDone] = useState<number | null>(null);
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.review}</Heading>
      {done !== null ? <Alert isInline variant="success" component="h2" title={texts.review.done(done)} /> : null}
      <Shown of={changes}>
        {(found) =>
          found.changes.length ? (
            <>
              <Collisions />
              <Changes changes={found.changes} />
              <Plan />
              <Commit onDone={setDone} />
            </>
          ) : (
            <Empty title={texts.review.none} text={texts.review.noneText} />
          )
        }
      </Shown>
    </Stack>
  );
}

function ToldList({ title, variant, told }: { title: string; variant: 'danger' | 'warning'; told: Told[] }) {
  const document = useDocument();
  if (!told.length) return null;
  return (
    <Alert isInline variant={variant} component="h3" title={title}>
      <List isPlain>
        {told.map((one) => (
          <ListItem key={one.path + one.pointer + one.code}>
            {one.message}{' '}
            {document.data && one.path.startsWith('/api/configuration/') ? (
              <Link to="/settings/$" params={{ _splat: settingsPath(one.path) }} hash={one.pointer}>
                {texts.review.jump}
              </Link>
            ) : null}
          </ListItem>
        ))}
      </List>
    </Alert>
  );
}

function Collisions() {
  const paths = usePlan().data?.body.conflicts ?? [];
  return paths.length ? <Conflicts paths={paths} /> : null;
}

function Plan() {
  const plan = usePlan();
  return (
    <Card>
      <CardTitle component="h2">{texts.review.plan}</CardTitle>
      <CardBody>
        <Shown of={plan}>{(found: Answer<PlanBody>) => <PlanShown body={found.body} />}</Shown>
      </CardBody>
    </Card>
  );
}

function PlanShown({ body }: { body: PlanBody }) {
  return (
    <Stack hasGutter>
      <ToldList title={texts.review.problems} variant="danger" told={body.problems} />
      <ToldList title={texts.review.warnings} variant="warning" told={body.warnings} />
      <StackItem>
        {body.actions.length ? (
          <List isPlain>
            {body.actions.map((one) => (
              <ListItem key={one.action + one.path}>
                {one.action}{' '}
                <Label isCompact color={one.effect === 'none' ? 'grey' : 'orange'}>
                  {texts.review.effects[one.effect] ?? one.effect}
                </Label>
              </ListItem>
            ))}
          </List>
        ) : body.problems.length ? null : (
          texts.review.noActions
        )}
      </StackItem>
      <Raw value={body} />
    </Stack>
  );
}

function Commit({ onDone }: { onDone: (revision: number) => void }) {
  const cache = useQueryClient();
  const status = useTransaction();
  const order = useOrder<Answer<unknown>>();
  const [message, setMessage] = useState('');
  const [seconds, setSeconds] = useState(60);
  const isRequired = status.data?.body.commit_message === 'required';
  const isBlocked = order.isPending || (isRequired && !message.trim());
  const error = order.error instanceof ApiError ? order.error : null;

  function commit(trial: boolean) {
    const body = { status: 'commit', ...(message.trim() ? { commit_message: message } : {}), ...(trial ? { confirm_seconds: seconds } : {}) };
    // A promise: this form is gone as soon as nothing is pending any more.
    order.mutateAsync({ method: 'PUT', path: '/api/transaction', body }).then(
      (answer) => onDone(Number(answer.meta.revision)),
      () => forget(cache),
    );
  }

  return (
    <Card>
      <CardTitle component="h2">{texts.review.commit}</CardTitle>
      <CardBody>
        <Form onSubmit={(event) => event.preventDefault()}>
          {error ? <Refused error={error} /> : null}
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
            <Button variant="primary" isDisabled={isBlocked} isLoading={order.isPending} onClick={() => commit(false)}>
              {texts.review.commit}
            </Button>
            <Button variant="secondary" isDisabled={isBlocked} onClick={() => commit(true)}>
              {texts.review.trial}
            </Button>
          </ActionGroup>
        </Form>
      </CardBody>
    </Card>
  );
}

function Refused({ error }: { error: ApiError }) {
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
