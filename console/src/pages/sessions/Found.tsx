// The search through all sessions.
import { Alert, Button, Card, CardBody, CardTitle, ExpandableSection, Form, FormGroup, FormSelect, FormSelectOption, Grid, GridItem, Label, TextInput } from '@patternfly/react-core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';

import { useTitle } from '../../api/document';
import { type List, useAnswer } from '../../api/queries';
import { Rows } from '../../display/Rows';
import { Moment, Shown } from '../../display/Shown';
import { texts } from '../../texts';
import { type SessionBody, lasting, peerName } from './rows';
import { PAGE, PROTOCOLS, SINCE, type SessionSearch, VERDICTS, searchPath } from './search';

export function Found() {
  const search: SessionSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const sessions = useAnswer<List<SessionBody>>(searchPath(search));
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
              <Matches items={items} content={search.content} isFiltered={Object.values(search).some((one) => one !== undefined)} />
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

interface Filter {
  name: Exclude<keyof SessionSearch, 'offset'>;
  label: string;
  /** What can be chosen, with its name; without it a text is typed. */
  choices?: readonly (readonly [string, string])[];
  type?: 'datetime-local';
  placeholder?: string;
  isWide?: boolean;
}
const any = ['', texts.sessions.any] as const;
const FILTERS: Filter[] = [
  { name: 'user', label: texts.sessions.user, placeholder: 'ali*' },
  { name: 'target', label: texts.sessions.target, placeholder: '192.0.2.7' },
  { name: 'protocol', label: texts.sessions.protocol, choices: [any, ...PROTOCOLS.map((one) => [one, one] as const)] },
  { name: 'verdict', label: texts.sessions.verdict, choices: [any, ...VERDICTS.map((one) => [one, texts.sessions.verdicts[one]] as const)] },
  { name: 'since', label: texts.sessions.when, choices: (['', ...SINCE] as const).map((one) => [one, texts.sessions.times[one]] as const) },
  { name: 'start', label: texts.sessions.start, type: 'datetime-local' },
  { name: 'end', label: texts.sessions.end, type: 'datetime-local' },
  { name: 'content', label: texts.sessions.content },
  { name: 'q', label: texts.sessions.query, placeholder: 'duration:>=3600 AND active:false', isWide: true },
];

function Filters({ search, onSearch }: { search: SessionSearch; onSearch: (search: SessionSearch) => void }) {
  const [given, setGiven] = useState<SessionSearch>({ ...search, offset: undefined });
  // A time that is relative leaves no place for others.
  const shown = FILTERS.filter(({ type }) => !type || !given.since);
  return (
    <Form
      className="wide"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(given.since ? { ...given, start: undefined, end: undefined } : given);
      }}
    >
      <Grid hasGutter>
        {shown.map((filter) => (
          <GridItem key={filter.name} span={12} md={6} xl={filter.isWide ? 12 : 3}>
            <FormGroup label={filter.label} fieldId={`filter-${filter.name}`}>
              <FilterField filter={filter} value={given[filter.name] ?? ''} onChange={(value) => setGiven({ ...given, [filter.name]: value || undefined })} />
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

function FilterField({ filter, value, onChange }: { filter: Filter; value: string; onChange: (value: string) => void }) {
  const id = `filter-${filter.name}`;
  if (!filter.choices) {
    return <TextInput id={id} type={filter.type ?? 'text'} value={value} placeholder={filter.placeholder} onChange={(_, next) => onChange(next)} />;
  }
  return (
    <FormSelect id={id} value={value} onChange={(_, next) => onChange(next)}>
      {filter.choices.map(([one, label]) => (
        <FormSelectOption key={one} value={one} label={label} />
      ))}
    </FormSelect>
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

function Matches({ items, content, isFiltered }: { items: Match[]; content: string | undefined; isFiltered: boolean }) {
  const titleOf = useTitle();
  const isCluster = new Set(items.map(({ body }) => body?.node_id)).size > 1;
  return (
    <Rows
      label={texts.sessions.search}
      rows={items}
      keyOf={({ key }) => key}
      empty={isFiltered ? { title: texts.sessions.none, text: texts.sessions.noneText } : { title: texts.sessions.noneYet, text: texts.sessions.noneYetText }}
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
