// Support bundles: made, fetched, removed.
import { Button, Label, Stack } from '@patternfly/react-core';

import { type List, useAnswer, useOrder } from '../api/queries';
import { Refusal } from '../forms/OrderForm';
import { Rows } from '../display/Rows';
import { Heading, Shown } from '../display/Shown';
import { texts } from '../texts';

interface Bundle {
  status: 'queued' | 'running' | 'finished' | 'failed' | 'cancelled';
  code?: string | null;
}
const HREF = '/api/troubleshooting/support-bundle';
const COLOURS = { queued: 'blue', running: 'blue', finished: 'green', failed: 'red', cancelled: 'grey' } as const;

export function Support() {
  const bundles = useAnswer<List<Bundle>>(HREF, 'runs');
  const order = useOrder();
  const isBusy = bundles.data?.items.some((one) => one.body?.status === 'queued' || one.body?.status === 'running') ?? false;
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.support}</Heading>
      <p>{texts.support.about}</p>
      <div className="row">
        <Button variant="primary" isDisabled={isBusy || order.isPending} onClick={() => order.mutate({ method: 'POST', path: HREF, body: {} })}>
          {texts.support.make}
        </Button>
        <Button variant="link" onClick={() => void bundles.refetch()}>
          {texts.refresh}
        </Button>
      </div>
      <Refusal error={order.error} />
      <Shown of={bundles}>
        {({ items }) => (
          <Rows
            label={texts.pages.support}
            rows={items}
            keyOf={(one) => one.key}
            empty={{ title: texts.support.none, text: texts.support.noneText }}
            columns={[
              { title: texts.support.bundle, cell: (one) => one.key },
              {
                title: texts.backups.state,
                cell: ({ body }) => (
                  <Label isCompact color={COLOURS[body?.status ?? 'failed']}>
                    {texts.support.states[body?.status ?? 'failed']}
                  </Label>
                ),
              },
            ]}
            actions={({ key, body }) => (
              <div className="row">
                {body?.status === 'finished' ? (
                  <a href={`${HREF}/${key}/download`} download aria-label={`${texts.download}: ${key}`}>
                    {texts.download}
                  </a>
                ) : null}
                <Button variant="link" isInline aria-label={`${texts.settings.remove}: ${key}`} onClick={() => order.mutate({ method: 'DELETE', path: `${HREF}/${key}` })}>
                  {texts.settings.remove}
                </Button>
              </div>
            )}
          />
        )}
      </Shown>
    </Stack>
  );
}
