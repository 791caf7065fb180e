// The search through all sessions.
import { Alert, Button, Card, CardBody, CardTitle, ExpandableSection, Form, FormGroup, Grid, GridItem, Label, TextInput } from '@patternfly/react-core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';

import { useTitle } from '../../api/document';
import { type List, useAnswer } from '../../api/queries';
import { Rows } from '../../frame/Rows';
import { Moment, Shown } from '../../frame/Shown';
import { texts } from '../../texts';
import type { SessionSearch } from '../Sessions';
import { type SessionBody, lasting, peerName } from './rows';

const PAGE = 50;
const FIELDS = ['q', 'content', 'start', 'end'] as const;
const LABELS = { q: texts.sessions.query, content: texts.sessions.content, start: texts.sessions.start, end: texts.sessions.end };

function asked(search: SessionSearch): string {
  const given = new URLSearchParams({ fields: '*', sort: '-start_time', limit: String(PAGE), offset: String(search.offset ?? 0) });
  for (const name of FIELDS) {
    const value = search[name];
    if (value) given.set(name, name === 'start' || name === 'end' ? new Date(value).toISOString() : value);
  }
  return `/api/audit/sessions?${given.toString()}`;
}

export function Found() {
  const search: SessionSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const sessions = useAnswer<List<SessionBody>>(asked(search));
  const go = (next: SessionSearch) => void navigate({ to: '/sessions', search: next });
  return (
    <Card>
      <CardTitle component="h2">{texts.sessions.search}</CardTitle>
      <CardBody>
        <Filters key={JSON.stringify(search)} search={search} onSearch={go} />
        <Shown of={sessions}>
          {({ items, meta }) => (
            <>
              <p role="status">{items.length ? texts.sessions.matches(Number(meta.match_count)) : ''}</p>
              <Missing warnings={meta.warnings} />
              <Matches items={items} content={search.content} />
              <div className="row">
                {search.offset ? (
                  <Button variant="link" onClick={() => go({ ...search, offset: Math.max(0, (search.offset ?? 0) - PAGE) || undefined })}>
                    {texts.sessions.less}
                  </Button>
                ) : null}
                {meta.next ? (
                  <Button variant="link" onClick={() => go({ ...search, offset: (search.offset ?? 0) + PAGE })}>
                    {texts.sessions.more}
                  </Button>
                ) : null}
              </div>
            </>
          )}
        </Shown>
      </CardBody>
    </Card>
  );
}

/** Nodes of the cluster whose sessions are missing, because they do not answer. */
function Missing({ warnings }: { warnings: unknown }) {
  const found = Array.isArray(warnings) ? (warnings as { message: string; path: string }[]) : [];
  return found.map((one) => <Alert key={one.path} variant="warning" isInline title={one.message} />);
}

function Filters({ search, onSearch }: { search: SessionSearch; onSearch: (search: SessionSearch) => void }) {
  const [given, setGiven] = useState<SessionSearch>({ ...search, offset: undefined });
  return (
    <Form
      className="wide"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(given);
      }}
    >
      <Grid hasGutter>
        {FIELDS.map((name) => (
          <GridItem key={name} span={12} md={6} xl={3}>
            <FormGroup label={LABELS[name]} fieldId={`filter-${name}`}>
              <TextInput
                id={`filter-${name}`}
                type={name === 'start' || name === 'end' ? 'datetime-local' : 'text'}
                value={given[name] ?? ''}
                placeholder={name === 'q' ? 'user.name:alice AND verdict:accept' : undefined}
                onChange={(_, value) => setGiven({ ...given, [name]: value || undefined })}
              />
            </FormGroup>
          </GridItem>
        ))}
      </Grid>
      <div className="row">
        <Button type="submit" variant="secondary">
          {texts.sessions.apply}
        </Button>
        <Button variant="link" onClick={() => onSearch({})}>
          {texts.sessions.clear}
        </Button>
      </div>
    </Form>
  );
}

interface Hit {
  channel_id: string;
  content: string;
  offset: number;
}

/** The lines of a session with the words that were looked for; each opens the replay at its second. */
function Hits({ session, content }: { session: string; content: string }) {
  const hits = useAnswer<{ items: Hit[] }>(`/api/audit/sessions/${session}/content?q=${encodeURIComponent(content)}&limit=50`);
  return (
    <Shown of={hits}>
      {({ items }) => (
        <ol>
          {items.map((hit, index) => (
            <li key={index}>
              <a href={`/console/replay.html?session=${session}&channel=${hit.channel_id}&at=${hit.offset}`}>{lasting(hit.offset)}</a>{' '}
              <span className="value">{hit.content}</span>
            </li>
          ))}
        </ol>
      )}
    </Shown>
  );
}

function Where({ session, content }: { session: string; content: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <ExpandableSection toggleText={texts.sessions.where} isExpanded={isOpen} onToggle={(_, open) => setOpen(open)}>
      {isOpen ? <Hits session={session} content={content} /> : null}
    </ExpandableSection>
  );
}

const userOf = (body: SessionBody | undefined) => body?.user?.name ?? body?.user?.gateway_username ?? (body?.user?.server_username ?? []).join(', ');

interface Match {
  key: string;
  body?: SessionBody;
}

function Matches({ items, content }: { items: Match[]; content: string | undefined }) {
  const titleOf = useTitle();
  const isCluster = new Set(items.map(({ body }) => body?.node_id)).size > 1;
  return (
    <Rows
      label={texts.sessions.search}
      rows={items}
      keyOf={({ key }) => key}
      empty={{ title: texts.sessions.none, text: texts.sessions.noneText }}
      columns={[
        ...(isCluster ? [{ title: texts.sessions.node, cell: ({ body }: Match) => <span title={body?.node_id}>{body?.node_id?.slice(0, 8)}</span> }] : []),
        { title: texts.sessions.began, cell: ({ body }) => <Moment at={body?.start_time} /> },
        { title: texts.sessions.duration, cell: ({ body }) => lasting(body?.duration) },
        { title: texts.sessions.user, cell: ({ body }) => userOf(body) },
        { title: texts.sessions.server, cell: ({ body }) => peerName(body?.server) },
        {
          title: texts.sessions.verdict,
          cell: ({ body }) => (
            <Label isCompact color={body?.verdict.toUpperCase().includes('ACCEPT') ? 'green' : 'grey'}>
              {titleOf((body?.verdict ?? '').toLowerCase().replaceAll('-', '_'))}
            </Label>
          ),
        },
      ]}
      actions={({ key, body }) => (
        <>
          <a href={`/console/replay.html?session=${key}`} aria-label={`${texts.sessions.replay}: ${userOf(body)}`}>
            {texts.sessions.replay}
          </a>
          {content ? <Where session={key} content={content} /> : null}
        </>
      )}
    />
  );
}
