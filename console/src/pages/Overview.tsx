// How the node does.
import { Alert, Card, CardBody, CardTitle, Gallery, Label, List, ListItem, Progress, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { type Answer, type Info, type Issue, type List as Listed, useAnswer, useHealth, useInfo } from '../api/queries';
import { useRights } from '../api/rights';
import { Facts } from '../display/Facts';
import { Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';
import { settingsPath } from '../api/paths';

type Row = [term: string, value: ReactNode];

export function Overview() {
  const health = useHealth();
  const rights = useRights();
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.overview}</Heading>
      <Shown of={health}>
        {({ health_status: found }) => (
          <>
            <Issues title={texts.overview.errors} variant="danger" issues={found.issues.errors} />
            <Issues title={texts.overview.warnings} variant="warning" issues={found.issues.warnings} />
            {found.issues.errors.length + found.issues.warnings.length === 0 ? (
              <Alert isInline variant="success" component="h2" title={texts.overview.fine} />
            ) : null}
            <Gallery hasGutter minWidths={{ default: 'min(16rem, 100%)' }}>
              <Meter title={texts.overview.cpu} percent={found.cpu} />
              <Meter title={texts.overview.memory} percent={found.memory} />
              <Meter title={texts.overview.disk} percent={found.disk} />
            </Gallery>
            <Gallery hasGutter minWidths={{ default: 'min(22rem, 100%)' }}>
              <Node sessions={found.sessions_total} load={[found.load1, found.load5, found.load15]} />
              {rights.mayRead('/special/changelog') ? <LastChange /> : null}
              {rights.mayRead('/special/backup') ? <LastBackup /> : null}
            </Gallery>
          </>
        )}
      </Shown>
    </Stack>
  );
}

function Meter({ title, percent }: { title: string; percent: number }) {
  return (
    <Card isCompact>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        <Progress value={percent} label={`${Math.round(percent)} %`} valueText={`${Math.round(percent)} %`} aria-label={title} size="sm" {...(percent > 90 ? { variant: 'warning' as const } : {})} />
      </CardBody>
    </Card>
  );
}

function Issues({ title, variant, issues }: { title: string; variant: 'danger' | 'warning'; issues: Issue[] }) {
  if (!issues.length) return null;
  return (
    <Alert isInline variant={variant} component="h2" title={title}>
      <List isPlain>
        {issues.map((one) => (
          <ListItem key={one.message}>
            {one.message}{' '}
            {one.paths
              .filter((path) => path.startsWith('/api/configuration/'))
              .map((path) => (
                <Link key={path} to="/settings/$" params={{ _splat: settingsPath(path) }}>
                  {texts.settings.open}
                </Link>
              ))}
          </ListItem>
        ))}
      </List>
    </Alert>
  );
}

function Node({ sessions, load }: { sessions: number; load: number[] }) {
  const info: Info | undefined = useInfo().data?.body;
  return (
    <Told
      title={texts.overview.node}
      rows={[
        [texts.overview.name, info?.nickname ?? info?.hostname],
        [texts.overview.release, info?.product ? `${info.product.name} ${info.product.version}` : ''],
        [texts.overview.running, <Link to="/sessions">{sessions}</Link>],
        [texts.overview.load, load.map((one) => one.toFixed(2)).join(' ')],
      ]}
    />
  );
}

interface Revision {
  author: string;
  commit_message: string | null;
  time: string;
}

function LastChange() {
  const last = useAnswer<Listed<Revision>>('/api/revisions?limit=1').data?.items[0];
  return (
    <Told
      title={texts.overview.lastChange}
      rows={[
        [texts.overview.revision, last ? <Link to="/history">{last.key}</Link> : null],
        [texts.overview.author, last?.body?.author],
        [texts.overview.time, <Moment at={last?.body?.time} />],
        [texts.overview.message, last?.body?.commit_message],
      ]}
    />
  );
}

interface Freshness {
  last_success: { at: string } | null;
  next_due: string | null;
  overdue: boolean;
}

function LastBackup() {
  const status = useAnswer<Answer<Freshness>>('/api/backup/status', 'runs').data?.body;
  return (
    <Told
      title={texts.pages.backups}
      rows={[
        [texts.backups.last, status ? <Link to="/backups">{status.last_success ? <Moment at={status.last_success.at} /> : texts.overview.never}</Link> : null],
        [texts.backups.next, status ? status.next_due ? <Moment at={status.next_due} /> : texts.overview.notDue : null],
        ...(status?.overdue ? [[texts.overview.state, <Label isCompact status="warning">{texts.backups.overdue}</Label>] satisfies Row] : []),
      ]}
    />
  );
}

function Told({ title, rows }: { title: string; rows: Row[] }) {
  return (
    <Card isCompact>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        <Facts rows={rows.map(([term, value]) => [term, value || texts.overview.nothing])} />
      </CardBody>
    </Card>
  );
}
