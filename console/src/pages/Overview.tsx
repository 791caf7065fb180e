// How the node does.
import { Alert, Card, CardBody, CardTitle, Gallery, List, ListItem, Progress, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { useLive } from '../api/live';
import { type Info, useAnswer, useInfo } from '../api/queries';
import { Facts } from '../frame/Facts';
import { Heading, Shown } from '../frame/Shown';
import { texts } from '../texts';
import { settingsPath } from './settings/paths';

interface Issue {
  message: string;
  paths: string[];
}
interface Health {
  health_status: {
    cpu: number;
    disk: number;
    memory: number;
    load1: number;
    load5: number;
    load15: number;
    sessions_total: number;
    issues: { errors: Issue[]; warnings: Issue[] };
  };
}

export function Overview() {
  const health = useAnswer<Health>('/api/health_status', 'health');
  const info = useInfo();
  const live = useLive();
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
            <Gallery hasGutter minWidths={{ default: '16rem' }}>
              <Meter title={texts.overview.cpu} percent={found.cpu} />
              <Meter title={texts.overview.memory} percent={found.memory} />
              <Meter title={texts.overview.disk} percent={found.disk} />
              <Card isCompact>
                <CardTitle component="h2">{texts.product}</CardTitle>
                <CardBody>
                  <About info={info.data?.body} sessions={found.sessions_total} revision={live.state?.revision} load={[found.load1, found.load5, found.load15]} />
                </CardBody>
              </Card>
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

function About({ info, sessions, revision, load }: { info: Info | undefined; sessions: number; revision: number | undefined; load: number[] }) {
  const rows: [string, string][] = [
    [texts.overview.release, info?.product ? `${info.product.name} ${info.product.version}` : ''],
    [texts.overview.revision, String(revision ?? '')],
    [texts.overview.running, String(sessions)],
    [texts.overview.load, load.map((one) => one.toFixed(2)).join(' ')],
  ];
  return <Facts rows={rows} />;
}
