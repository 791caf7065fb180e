// Every commit: who, when, why, what; and the way back.
import { Alert, Button, ExpandableSection, Stack } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';

import { type Change, type List, useAnswer, useOrder } from '../api/queries';
import { Empty, Heading, Moment, Shown } from '../frame/Shown';
import { texts } from '../texts';
import { Changes } from './review/Changes';

interface Revision {
  address: string;
  author: string;
  changes: number;
  commit_message: string | null;
  time: string;
}
const PAGE = 50;

export function History() {
  const [before, setBefore] = useState<number | null>(null);
  const revisions = useAnswer<List<Revision>>(`/api/revisions?limit=${PAGE}${before ? `&before=${before}` : ''}`);
  const navigate = useNavigate();
  const order = useOrder();
  const undo = (number: string) =>
    order.mutate({ method: 'POST', path: `/api/revisions/${number}/restore` }, { onSuccess: () => void navigate({ to: '/review' }) });
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.history}</Heading>
      {order.error ? <Alert isInline variant="danger" component="h2" title={order.error.message} /> : null}
      <Shown of={revisions}>
        {({ items }) =>
          items.length ? (
            <>
              <Table variant="compact" aria-label={texts.pages.history}>
                <Thead>
                  <Tr>
                    <Th>{texts.history.revision}</Th>
                    <Th>{texts.history.time}</Th>
                    <Th>{texts.history.author}</Th>
                    <Th>{texts.history.message}</Th>
                    <Th>{texts.history.changes}</Th>
                    <Th>{texts.settings.actions}</Th>
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map((item) => (
                    <Tr key={item.key}>
                      <Td dataLabel={texts.history.revision}>{item.key}</Td>
                      <Td dataLabel={texts.history.time}>
                        <Moment at={item.body?.time} />
                      </Td>
                      <Td dataLabel={texts.history.author}>{item.body?.author}</Td>
                      <Td dataLabel={texts.history.message}>{item.body?.commit_message}</Td>
                      <Td dataLabel={texts.history.changes}>
                        <Changed number={item.key} count={item.body?.changes ?? 0} />
                      </Td>
                      <Td dataLabel={texts.settings.actions}>
                        <Button variant="link" isInline aria-label={`${texts.history.undo}: ${item.key}`} onClick={() => undo(item.key)}>
                          {texts.history.undo}
                        </Button>
                      </Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
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
          ) : (
            <Empty title={texts.history.none} text={texts.history.noneText} />
          )
        }
      </Shown>
    </Stack>
  );
}

function Changed({ number, count }: { number: string; count: number }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <ExpandableSection toggleText={`${texts.history.show} (${count})`} isExpanded={isOpen} onToggle={(_, open) => setOpen(open)}>
      {isOpen ? <Fetched number={number} /> : null}
    </ExpandableSection>
  );
}

function Fetched({ number }: { number: string }) {
  const changes = useAnswer<{ changes: Change[] }>(`/api/revisions/${number}/changes`);
  return <Shown of={changes}>{(found) => <Changes changes={found.changes} />}</Shown>;
}
