// Support bundles: made, fetched, removed.
import { Button, Label, Stack } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';

import { type List, useAnswer, useOrder } from '../api/queries';
import { Refusal } from '../forms/OrderForm';
import { Empty, Heading, Shown } from '../frame/Shown';
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
        {({ items }) =>
          items.length ? (
            <Table variant="compact" aria-label={texts.pages.support}>
              <Thead>
                <Tr>
                  <Th>{texts.support.bundle}</Th>
                  <Th>{texts.backups.state}</Th>
                  <Th>{texts.settings.actions}</Th>
                </Tr>
              </Thead>
              <Tbody>
                {items.map((one) => {
                  const status = one.body?.status ?? 'failed';
                  return (
                    <Tr key={one.key}>
                      <Td dataLabel={texts.support.bundle}>{one.key}</Td>
                      <Td dataLabel={texts.backups.state}>
                        <Label isCompact color={COLOURS[status]}>
                          {texts.support.states[status]}
                        </Label>
                      </Td>
                      <Td dataLabel={texts.settings.actions}>
                        <div className="row">
                          {status === 'finished' ? (
                            <a href={`${HREF}/${one.key}/download`} download aria-label={`${texts.download}: ${one.key}`}>
                              {texts.download}
                            </a>
                          ) : null}
                          <Button
                            variant="link"
                            isInline
                            aria-label={`${texts.settings.remove}: ${one.key}`}
                            onClick={() => order.mutate({ method: 'DELETE', path: `${HREF}/${one.key}` })}
                          >
                            {texts.settings.remove}
                          </Button>
                        </div>
                      </Td>
                    </Tr>
                  );
                })}
              </Tbody>
            </Table>
          ) : (
            <Empty title={texts.support.none} text={texts.support.noneText} />
          )
        }
      </Shown>
    </Stack>
  );
}
