// The certificates that settings refer to: whose they are, who issued them, how long they are good.
import { Card, CardBody, ExpandableSection, Label, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { CERTIFICATES, type Identity, useIdentities } from '../api/certificates';
import { type ApiDocument, useDocument } from '../api/document';
import { settingsPath } from '../api/paths';
import { type Use, useUses } from '../api/uses';
import { Rows } from '../display/Rows';
import { Empty, Heading, Moment, Shown, Waiting } from '../display/Shown';
import { texts } from '../texts';

const DAY = 86_400_000;
const SOON_DAYS = 30;

export function Certificates() {
  const document = useDocument();
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.certificates}</Heading>
      <Shown of={document}>{(found) => <Uses document={found} />}</Shown>
    </Stack>
  );
}

function Uses({ document }: { document: ApiDocument }) {
  const { uses, isPending, isForbidden } = useUses(document, CERTIFICATES);
  if (isPending) return <Waiting />;
  if (isForbidden) return <Empty title={texts.certificates.none} text={texts.forbidden} />;
  if (!uses.length) return <Empty title={texts.certificates.none} text={texts.certificates.noneText} />;
  return <Identities uses={uses} />;
}

function Identities({ uses }: { uses: Use[] }) {
  const { known, isPending } = useIdentities([...new Set(uses.map((one) => one.key))]);
  if (isPending) return <Waiting />;
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
