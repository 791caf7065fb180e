// Every commit: who, when, why, what; what set a place; the difference of any two; and the way back, of everything or of one place.
import { Alert, Button, Card, CardBody, CardTitle, ExpandableSection, Form, FormGroup, Label, Stack, TextInput } from '@patternfly/react-core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';

import { trail, useDocument } from '../api/document';
import { type Change, type Item, type List, useAnswer, useOrder } from '../api/queries';
import { useRights } from '../api/rights';
import { Refusal } from '../forms/OrderForm';
import { Rows } from '../display/Rows';
import { Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';
import { Changes } from './review/Changes';
import { settingsPath } from '../api/paths';

interface Revision {
  address: string;
  author: string;
  changes: number;
  commit_message: string | null;
  time: string;
  approvers?: string[];
  emergency?: boolean;
}
export interface HistorySearch {
  path?: string | undefined;
  from?: number | undefined;
  to?: number | undefined;
}
const PAGE = 50;

export function History() {
  const search: HistorySearch = useSearch({ strict: false });
  const [before, setBefore] = useState<number | null>(null);
  const asked = new URLSearchParams({ limit: String(PAGE) });
  if (before) asked.set('before', String(before));
  if (search.path) asked.set('path', search.path);
  const revisions = useAnswer<List<Revision>>(`/api/revisions?${asked.toString()}`);
  const navigate = useNavigate();
  const order = useOrder();
  const mayUndo = useRights().everything;
  const undo = (number: number, paths: string[]) =>
    order.mutate(
      { method: 'POST', path: `/api/revisions/${number}/restore`, body: { paths } },
      { onSuccess: () => void navigate({ to: '/review' }) },
    );
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.history}</Heading>
      {search.path ? <Place path={search.path} /> : null}
      <Compare key={`${search.from ?? ''}-${search.to ?? ''}`} search={search} />
      <Refusal error={order.error} />
      <Shown of={revisions}>
        {({ items }) => (
          <>
            <Revisions items={items} path={search.path} onUndo={mayUndo ? undo : undefined} />
            <div className="row">
              {before ? (
                <Button variant="link" onClick={() => setBefore(null)}>
                  {texts.sessions.less}
                </Button>
              ) : null}
              {items.length === PAGE ? (
                <Button variant="link" onClick={() => setBefore(Number(items.at(-1)?.key))}>
                  {texts.sessions.more}
                </Button>
              ) : null}
            </div>
          </>
        )}
      </Shown>
    </Stack>
  );
}

/** That only what changed one place is shown. */
function Place({ path }: { path: string }) {
  const document = useDocument();
  return (
    <Alert isInline isPlain variant="info" component="h2" title={texts.history.of(document.data ? trail(document.data, path).join(' › ') || path : path)}>
      <Link to="/settings/$" params={{ _splat: settingsPath(path) }}>
        {texts.settings.open}
      </Link>{' '}
      <Link to="/history">{texts.history.all}</Link>
    </Alert>
  );
}

interface RowsProps {
  items: Item<Revision>[];
  path: string | undefined;
  onUndo: ((number: number, paths: string[]) => void) | undefined;
}

function Revisions({ items, path, onUndo }: RowsProps) {
  return (
    <Rows
      label={texts.pages.history}
      rows={items}
      keyOf={(item) => item.key}
      empty={{ title: texts.history.none, text: path ? texts.history.noneOf : texts.history.noneText }}
      columns={[
        { title: texts.history.revision, cell: (item) => item.key },
        { title: texts.history.time, cell: ({ body }) => <Moment at={body?.time} /> },
        { title: texts.history.author, cell: ({ body }) => <Author of={body} /> },
        { title: texts.history.message, cell: ({ body }) => body?.commit_message },
        { title: texts.history.changes, cell: ({ key, body }) => <Changed number={Number(key)} count={body?.changes ?? 0} onUndo={onUndo} /> },
      ]}
      actions={
        onUndo
          ? (item) => (
              <Button variant="link" isInline aria-label={`${texts.history.undo}: ${item.key}`} onClick={() => onUndo(Number(item.key), path ? [path] : [])}>
                {texts.history.undo}
              </Button>
            )
          : undefined
      }
    />
  );
}

/** Who made a change, who accepted it where that was needed, and whether it could not wait. */
function Author({ of }: { of: Revision | undefined }) {
  return (
    <>
      {of?.author}
      {of?.approvers?.length ? <div>{texts.history.accepted(of.approvers.join(', '))}</div> : null}
      {of?.emergency ? (
        <Label isCompact color="red">
          {texts.history.emergency}
        </Label>
      ) : null}
    </>
  );
}

function Changed({ number, count, onUndo }: { number: number; count: number; onUndo: RowsProps['onUndo'] }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <ExpandableSection toggleText={`${texts.history.show} (${count})`} isExpanded={isOpen} onToggle={(_, open) => setOpen(open)}>
      {isOpen ? <Fetched asked={`/api/revisions/${number}/changes`} undo={onUndo && number > 1 ? (path) => onUndo(number - 1, [path]) : undefined} /> : null}
    </ExpandableSection>
  );
}

function Fetched({ asked, undo }: { asked: string; undo?: ((path: string) => void) | undefined }) {
  const changes = useAnswer<{ changes: Change[]; meta: { hidden?: Record<string, number> } }>(asked);
  return (
    <Shown of={changes}>
      {(found) => (
        <>
          {found.meta.hidden ? <Label>{texts.history.hidden}</Label> : null}
          {found.changes.length ? <Changes changes={found.changes} {...(undo ? { onUndo: undo } : {})} /> : <p>{texts.history.same}</p>}
        </>
      )}
    </Shown>
  );
}

/** What differs between two revisions; both stand in the address. */
function Compare({ search }: { search: HistorySearch }) {
  const navigate = useNavigate();
  const [from, setFrom] = useState(String(search.from ?? ''));
  const [to, setTo] = useState(String(search.to ?? ''));
  const isReady = /^\d+$/.test(from) && /^\d+$/.test(to);
  return (
    <Card>
      <CardTitle component="h2">{texts.history.compare}</CardTitle>
      <CardBody>
        <Form
          isHorizontal
          onSubmit={(event) => {
            event.preventDefault();
            void navigate({ to: '/history', search: { ...search, from: Number(from), to: Number(to) } });
          }}
        >
          <FormGroup label={texts.history.from} fieldId="compare-from">
            <TextInput id="compare-from" inputMode="numeric" value={from} onChange={(_, value) => setFrom(value)} />
          </FormGroup>
          <FormGroup label={texts.history.to} fieldId="compare-to">
            <TextInput id="compare-to" inputMode="numeric" value={to} onChange={(_, value) => setTo(value)} />
          </FormGroup>
          <div>
            <Button type="submit" variant="secondary" isDisabled={!isReady}>
              {texts.history.compareDo}
            </Button>
          </div>
        </Form>
        {search.from && search.to ? <Fetched asked={`/api/revisions/${search.to}/changes?since=${search.from}`} /> : null}
      </CardBody>
    </Card>
  );
}
