// The certificates that settings refer to: whose they are, who issued them, how long they are good.
import { Card, CardBody, ExpandableSection, Label, Stack } from '@patternfly/react-core';
import { useQueries } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';

import { ApiError, call } from '../api/client';
import { type ApiDocument, type Json, bodySchema, endpointAt, endpointsReferring, placeTitle, trail, useDocument } from '../api/document';
import type { Answer, List } from '../api/queries';
import { isMembers, step } from '../forms/schema';
import { Rows } from '../frame/Rows';
import { Empty, Heading, Moment, Shown, Waiting } from '../frame/Shown';
import { texts } from '../texts';
import { settingsPath } from './settings/paths';

const STORE = '/api/configuration/x509';
const DAY = 86_400_000;
const SOON_DAYS = 30;

interface Identity {
  certificate: string;
  fingerprint: string;
  has_private_key: boolean;
  issuer: string;
  not_after: string;
  not_before: string;
  serial_number: string;
  subject: string;
  subject_alternative_names: string[];
}

/** Certificates that a value refers to, by their keys, with the place that does. */
function referred(value: Json | undefined, at = ''): [string, string][] {
  if (Array.isArray(value)) return value.flatMap((one, index) => referred(one, `${at}/${index}`));
  if (!isMembers(value)) return [];
  const href = isMembers(value.meta) ? value.meta.href : undefined;
  if (typeof value.key === 'string' && typeof href === 'string') return href.startsWith(`${STORE}/`) ? [[value.key, at]] : [];
  return Object.entries(value).flatMap(([member, one]) => referred(one, `${at}/${step(member)}`));
}

export function Certificates() {
  const document = useDocument();
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.certificates}</Heading>
      <Shown of={document}>{(found) => <Uses document={found} />}</Shown>
    </Stack>
  );
}

interface Use {
  key: string;
  path: string;
  title: string;
}

function Uses({ document }: { document: ApiDocument }) {
  const paths = useMemo(() => endpointsReferring(document, STORE), [document]);
  const answers = useQueries({
    queries: paths.map((path) => ({ queryKey: ['configuration', path], queryFn: () => call<Answer<Json> & List<Json>>('GET', path) })),
  });
  if (answers.some((one) => one.isPending)) return <Waiting />;
  const uses = answers.flatMap((answer, index) => {
    const path = paths[index] ?? '';
    const endpoint = endpointAt(document, path);
    const schema = endpoint ? bodySchema(document, endpoint) : null;
    const bodies = answer.data?.items?.map((item) => item.body) ?? [answer.data?.body];
    return bodies.flatMap((body) => referred(body)).map(([key, at]): Use => ({ key, path, title: [...trail(document, path), placeTitle(document, schema, at)].join(' › ') }));
  });
  const isForbidden = answers.every((one) => one.error instanceof ApiError && one.error.status === 403);
  if (isForbidden) return <Empty title={texts.certificates.none} text={texts.forbidden} />;
  if (!uses.length) return <Empty title={texts.certificates.none} text={texts.certificates.noneText} />;
  return <Identities uses={uses} />;
}

function Identities({ uses }: { uses: Use[] }) {
  const keys = [...new Set(uses.map((one) => one.key))];
  const found = useQueries({
    queries: keys.map((key) => ({ queryKey: ['configuration', `${STORE}/${key}`], queryFn: () => call<Answer<Identity>>('GET', `${STORE}/${key}`) })),
  });
  if (found.some((one) => one.isPending)) return <Waiting />;
  const known = keys.flatMap((key, index) => {
    const body = found[index]?.data?.body;
    return body ? [{ key, body }] : [];
  });
  known.sort((one, other) => one.body.not_after.localeCompare(other.body.not_after));
  return (
    <Card>
      <CardBody>
        <Rows
          label={texts.pages.certificates}
          rows={known}
          keyOf={({ key }) => key}
          columns={[
            {
              title: texts.certificates.subject,
              cell: ({ body }) => (
                <>
                  {body.subject || texts.rights.nothing}
                  <More body={body} />
                </>
              ),
            },
            {
              title: texts.certificates.use,
              cell: ({ key }) =>
                uses
                  .filter((one) => one.key === key)
                  .map((one) => (
                    <div key={one.path + one.title}>
                      <Link to="/settings/$" params={{ _splat: settingsPath(one.path) }}>
                        {one.title}
                      </Link>
                    </div>
                  )),
            },
            {
              title: texts.certificates.until,
              cell: ({ body }) => (
                <>
                  <Moment at={body.not_after} /> <Left until={body.not_after} />
                </>
              ),
            },
            { title: texts.certificates.chain, cell: ({ body }) => <Chain body={body} all={known.map((one) => one.body)} /> },
          ]}
        />
      </CardBody>
    </Card>
  );
}

function Left({ until }: { until: string }) {
  const days = Math.floor((new Date(until).getTime() - Date.now()) / DAY);
  const colour = days < 0 ? 'red' : days <= SOON_DAYS ? 'orange' : 'green';
  return (
    <Label isCompact color={colour}>
      {days < 0 ? texts.certificates.over : texts.certificates.days(days)}
    </Label>
  );
}

/** From the certificate to its authority, as far as that is among those that are known here. */
function Chain({ body, all }: { body: Identity; all: Identity[] }) {
  const names = [body.subject];
  let now = body;
  while (now.issuer !== now.subject) {
    names.push(now.issuer);
    const above = all.find((one) => one.subject === now.issuer);
    if (!above || names.length > all.length + 1) break;
    now = above;
  }
  return names.length === 1 ? <>{texts.certificates.self}</> : <>{names.join(' ← ')}</>;
}

function More({ body }: { body: Identity }) {
  const rows: [string, string][] = [
    [texts.certificates.names, body.subject_alternative_names.join(', ')],
    [texts.certificates.serial, body.serial_number],
    [texts.certificates.fingerprint, body.fingerprint],
    [texts.certificates.key, body.has_private_key ? texts.certificates.hasKey : texts.certificates.noKey],
  ];
  return (
    <ExpandableSection toggleText={texts.details}>
      {rows
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            {name}: <span className="value">{value}</span>
          </div>
        ))}
      <pre className="value">{body.certificate}</pre>
    </ExpandableSection>
  );
}
