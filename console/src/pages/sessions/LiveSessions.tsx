// The sessions that run: watched, locked, ended.
import { Alert, Button, Card, CardBody, CardTitle, Label, Modal, ModalBody, ModalFooter, ModalHeader, TextInput } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useState } from 'react';

import { type Item, type List, useAnswer, useOrder } from '../../api/queries';
import { Empty, Moment, Shown } from '../../frame/Shown';
import { texts } from '../../texts';
import { type LiveBody, peerName } from './rows';

const HREF = '/api/sessions/live';

export function LiveSessions() {
  const live = useAnswer<List<LiveBody>>(HREF, 'sessions');
  const order = useOrder();
  const [ended, setEnded] = useState<Item<LiveBody> | null>(null);
  return (
    <Card>
      <CardTitle component="h2">{texts.sessions.live}</CardTitle>
      <CardBody>
        <Button variant="link" isInline onClick={() => void live.refetch()}>
          {texts.sessions.refresh}
        </Button>
        {order.error ? <Alert isInline variant="danger" component="h3" title={order.error.message} /> : null}
        <Shown of={live}>
          {({ items }) =>
            items.length ? (
              <Rows
                items={items}
                onLock={(item) => order.mutate({ method: 'PUT', path: `${HREF}/${item.key}`, body: { locked: !item.body?.locked } })}
                onEnd={setEnded}
              />
            ) : (
              <Empty title={texts.sessions.noneLive} text={texts.sessions.noneLiveText} />
            )
          }
        </Shown>
      </CardBody>
      {ended ? (
        <EndDialog
          onClose={() => setEnded(null)}
          onEnd={(reason) =>
            order.mutate({ method: 'DELETE', path: `${HREF}/${ended.key}${reason ? `?reason=${encodeURIComponent(reason)}` : ''}` }, { onSettled: () => setEnded(null) })
          }
        />
      ) : null}
    </Card>
  );
}

interface RowsProps {
  items: Item<LiveBody>[];
  onLock: (item: Item<LiveBody>) => void;
  onEnd: (item: Item<LiveBody>) => void;
}

function Rows({ items, onLock, onEnd }: RowsProps) {
  return (
    <Table variant="compact" aria-label={texts.sessions.live}>
      <Thead>
        <Tr>
          <Th>{texts.sessions.user}</Th>
          <Th>{texts.sessions.server}</Th>
          <Th>{texts.sessions.client}</Th>
          <Th>{texts.sessions.began}</Th>
          <Th>{texts.settings.actions}</Th>
        </Tr>
      </Thead>
      <Tbody>
        {items.map((item) => {
          const body = item.body;
          const user = body?.gateway_username ?? body?.server_username ?? '';
          return (
            <Tr key={item.key}>
              <Td dataLabel={texts.sessions.user}>
                {user} {body?.locked ? <Label color="orange">{texts.sessions.locked}</Label> : null}
              </Td>
              <Td dataLabel={texts.sessions.server}>{peerName(body?.server)}</Td>
              <Td dataLabel={texts.sessions.client}>{peerName(body?.client)}</Td>
              <Td dataLabel={texts.sessions.began}>
                <Moment at={body?.start_time} />
              </Td>
              <Td dataLabel={texts.settings.actions}>
                <div className="row">
                  {body?.followable ? (
                    <a href={`/console/replay.html?live=${item.key}`} aria-label={`${texts.sessions.follow}: ${user}`}>
                      {texts.sessions.follow}
                    </a>
                  ) : null}
                  <Button variant="link" isInline onClick={() => onLock(item)} aria-label={`${body?.locked ? texts.sessions.unlock : texts.sessions.lock}: ${user}`}>
                    {body?.locked ? texts.sessions.unlock : texts.sessions.lock}
                  </Button>
                  <Button variant="link" isInline isDanger onClick={() => onEnd(item)} aria-label={`${texts.sessions.end_}: ${user}`}>
                    {texts.sessions.end_}
                  </Button>
                </div>
              </Td>
            </Tr>
          );
        })}
      </Tbody>
    </Table>
  );
}

function EndDialog({ onClose, onEnd }: { onClose: () => void; onEnd: (reason: string) => void }) {
  const [reason, setReason] = useState('');
  return (
    <Modal isOpen variant="small" aria-labelledby="end" onClose={onClose}>
      <ModalHeader title={texts.sessions.endTitle} labelId="end" />
      <ModalBody>
        <TextInput aria-label={texts.sessions.reason} placeholder={texts.sessions.reason} value={reason} onChange={(_, value) => setReason(value)} maxLength={500} />
      </ModalBody>
      <ModalFooter>
        <Button variant="danger" onClick={() => onEnd(reason)}>
          {texts.sessions.end_}
        </Button>
        <Button variant="link" onClick={onClose}>
          {texts.settings.cancel}
        </Button>
      </ModalFooter>
    </Modal>
  );
}
