// How the clock and its sources do.
import { Card, CardBody, CardTitle, Label, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { type Answer, useAnswer } from '../api/queries';
import { Rows } from '../display/Rows';
import { Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';

interface Source {
  address: string | null;
  value: string;
  origin: string;
  state: string;
  reachability: number;
  offset_seconds: number | null;
}
interface Status {
  clock: { time: string; synchronised: boolean; offset_seconds: number | null; stratum: number | null };
  daemon: { name: string; running: boolean; version: string };
  sources: Source[];
  timezone: { name: string; abbreviation: string };
}

export function Time() {
  const status = useAnswer<Answer<Status>>('/api/time_status', 'health');
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.time}</Heading>
      <Shown of={status}>
        {({ body }) => (
          <>
            <Card>
              <CardTitle component="h2">{texts.time.clock}</CardTitle>
              <CardBody>
                <div className="row">
                  <Moment at={body.clock.time} />
                  <Label color={body.clock.synchronised ? 'green' : 'orange'}>
                    {body.clock.synchronised ? texts.time.synchronised : texts.time.unsynchronised}
                  </Label>
                  <span>{milliseconds(body.clock.offset_seconds)}</span>
                  <span>{body.timezone.name}</span>
                </div>
              </CardBody>
            </Card>
            <Card>
              <CardTitle component="h2">{texts.time.sources}</CardTitle>
              <CardBody>
                <Sources sources={body.sources} />
              </CardBody>
            </Card>
          </>
        )}
      </Shown>
      <div className="row">
        <Link to="/settings/$" params={{ _splat: 'datetime/ntp_servers' }}>
          {texts.time.set}
        </Link>
        <Link to="/settings/$" params={{ _splat: 'datetime/timezone' }}>
          {texts.time.zone}
        </Link>
      </div>
    </Stack>
  );
}

const milliseconds = (seconds: number | null) => (seconds === null ? '' : `${(seconds * 1000).toFixed(2)} ms`);

function Sources({ sources }: { sources: Source[] }) {
  return (
    <Rows
      label={texts.time.sources}
      rows={sources}
      keyOf={(one) => one.value + (one.address ?? '')}
      empty={{ title: texts.time.none, text: texts.time.noneText }}
      columns={[
        { title: texts.time.address, cell: (one) => (one.address && one.address !== one.value ? `${one.value} (${one.address})` : one.value) },
        { title: texts.time.state, cell: (one) => one.state },
        { title: texts.time.offset, cell: (one) => milliseconds(one.offset_seconds) },
        { title: texts.time.reach, cell: (one) => <Reach bits={one.reachability} /> },
      ]}
    />
  );
}

/** The last eight tries, the newest at the right: what the daemon keeps as the bits of a number. */
function Reach({ bits }: { bits: number }) {
  const tries = Array.from({ length: 8 }, (_, index) => (bits >> (7 - index)) & 1);
  const told = `${tries.filter(Boolean).length} / 8`;
  return (
    <span>
      <svg width="96" height="12" viewBox="0 0 96 12" role="img" aria-label={told}>
        {tries.map((one, index) => (
          <rect key={index} x={index * 12 + 1} y={one ? 1 : 8} width="10" height={one ? 10 : 3} fill="currentColor" />
        ))}
      </svg>{' '}
      {told}
    </span>
  );
}
