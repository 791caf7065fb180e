// A restore, in steps: the archive, how, a dry run that changes nothing, and then in earnest.
import { Alert, Button, Card, CardBody, CardTitle, FormGroup, Label, List as Lines, ListItem, Stack, StackItem, TextInput } from '@patternfly/react-core';
import { useEffect, useState } from 'react';

import { ApiError, call } from '../../api/client';
import { type ApiDocument, useDocument, useTitle } from '../../api/document';
import { type Answer, type Change, type Told, useAnswer } from '../../api/queries';
import { OrderForm, Refusal } from '../../forms/OrderForm';
import { Shown } from '../../display/Shown';
import { texts } from '../../texts';
import { Changes } from '../review/Changes';

interface Progress {
  changes: Change[];
  checks: { check: string; message: string | null; passed: boolean }[];
  dry_run: boolean;
  message: string | null;
  plan: { action: string; effect: string; path: string }[];
  problems: Told[];
  result: 'cancelled' | 'failed' | 'reverted' | 'succeeded' | 'unknown' | null;
  revision: number | null;
  status: string;
  warnings: Told[];
}
const HREF = '/api/backup/restores';

export function Restore({ name }: { name: string }) {
  const document = useDocument();
  const [source, setSource] = useState<{ selection: 'target' | 'upload'; value: string } | null>(name ? { selection: 'target', value: name } : null);
  const [key, setKey] = useState<string | null>(null);
  useEffect(() => {
    if (name) {
      setSource({ selection: 'target', value: name });
      setKey(null);
    }
  }, [name]);
  return (
    <Card id="restore">
      <CardTitle component="h2">{texts.backups.restoreTitle}</CardTitle>
      <CardBody>
        <Stack hasGutter>
          <StackItem>{texts.backups.restoreText}</StackItem>
          <StackItem>
            <strong>{texts.backups.archive}: </strong>
            {source ? (source.selection === 'target' ? source.value : texts.backups.uploaded) : texts.backups.noArchive}
          </StackItem>
          <StackItem>
            <Uploading onDone={(value) => setSource({ selection: 'upload', value })} />
          </StackItem>
          {source ? <Shown of={document}>{(found) => <How key={source.value} document={found} source={source} onBegun={setKey} />}</Shown> : null}
          {key ? <Outcome name={key} /> : null}
        </Stack>
      </CardBody>
    </Card>
  );
}

function Uploading({ onDone }: { onDone: (id: string) => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  async function send() {
    if (!file) return;
    setBusy(true);
    setError(null);
    try {
      onDone((await call<Answer<unknown>>('POST', '/api/upload/backup', file)).key);
    } catch (failure) {
      setError(failure as ApiError);
    } finally {
      setBusy(false);
    }
  }
  return (
    <FormGroup label={texts.backups.upload} fieldId="archive">
      <input id="archive" type="file" onChange={(event) => setFile(event.target.files?.[0] ?? null)} />
      <Refusal error={error} />
      {file ? (
        <Button variant="secondary" isLoading={isBusy} isDisabled={isBusy} onClick={() => void send()}>
          {texts.backups.send}
        </Button>
      ) : null}
    </FormGroup>
  );
}

interface HowProps {
  document: ApiDocument;
  source: { selection: 'target' | 'upload'; value: string };
  onBegun: (key: string) => void;
}

function How({ document, source, onBegun }: HowProps) {
  const [isSure, setSure] = useState(false);
  const [word, setWord] = useState('');
  const form = (isDry: boolean) => (
    <OrderForm<Answer<unknown>>
      key={String(isDry)}
      document={document}
      method="POST"
      path={HREF}
      given={{ source, dry_run: isDry }}
      without={['source', 'dry_run']}
      submit={isDry ? texts.backups.dryRun : texts.backups.restoreNow}
      onDone={(answer) => onBegun(answer.key)}
    />
  );
  return (
    <>
      <Button variant="link" isInline onClick={() => setSure(!isSure)}>
        {isSure ? texts.backups.onlyTry : texts.backups.earnest}
      </Button>
      {isSure ? (
        <Alert isInline variant="warning" component="h3" title={texts.backups.earnestText}>
          <TextInput aria-label={texts.backups.word} placeholder={texts.backups.word} value={word} onChange={(_, value) => setWord(value)} />
        </Alert>
      ) : null}
      {isSure ? (word === texts.backups.theWord ? form(false) : null) : form(true)}
    </>
  );
}

function Outcome({ name }: { name: string }) {
  const titleOf = useTitle();
  const progress = useAnswer<Answer<Progress>>(`${HREF}/${name}`, 'runs');
  return (
    <Shown of={progress}>
      {({ body }) => {
        const isOver = body.status === 'finished';
        const isGood = body.result === 'succeeded';
        return (
          <Stack hasGutter>
            <Alert
              isInline
              variant={isOver ? (isGood ? 'success' : 'danger') : 'info'}
              component="h3"
              title={isOver ? (isGood ? (body.dry_run ? texts.backups.wouldWork : texts.backups.restored(body.revision)) : texts.backups.restoreFailed) : texts.backups.stages(body.status)}
            >
              {body.message}
            </Alert>
            {body.checks.length ? (
              <Lines isPlain>
                {body.checks.map((one) => (
                  <ListItem key={one.check}>
                    {titleOf(one.check)}{' '}
                    <Label isCompact color={one.passed ? 'green' : 'red'}>
                      {one.passed ? texts.backups.passed : texts.backups.failed}
                    </Label>{' '}
                    {one.message}
                  </ListItem>
                ))}
              </Lines>
            ) : null}
            {[...body.problems, ...body.warnings].map((one) => (
              <Alert key={one.path + one.pointer + one.message} isInline isPlain variant="warning" component="h3" title={one.message} />
            ))}
            {body.plan.length ? (
              <Lines isPlain>
                {body.plan.map((one) => (
                  <ListItem key={one.action + one.path}>
                    {one.action} <Label isCompact>{texts.review.effects[one.effect] ?? one.effect}</Label>
                  </ListItem>
                ))}
              </Lines>
            ) : null}
            {body.changes.length ? <Changes changes={body.changes} /> : null}
          </Stack>
        );
      }}
    </Shown>
  );
}
