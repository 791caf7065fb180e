// The sessions that run: watched, locked, ended.
import { Alert, Button, Card, CardBody, CardTitle, Label, Modal, ModalBody, ModalFooter, ModalHeader, TextInput } from '@patternfly/react-core';
import { useState } from 'react';

import { type Item, type List, useAnswer, useOrder } from '../../api/queries';
import { Rows } from '../../display/Rows';
import { Moment, Shown } from '../../display/Shown';
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
          {({ items }) => (
            <Running
              items={items}
              onLock={(item) => order.mutate({ method: 'PUT', path: `${HREF}/${item.key}`, body: { locked: !item.body?.locked } })}
              onEnd={setEnded}
            />
          )}
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

const userOf = ({ body }: Item<LiveBody>) => body?.gateway_username ?? body?.server_username ?? '';

function Running({ items, onLock, onEnd }: RowsProps) {
  return (
    <Rows
      label={texts.sessions.live}
      rows={items}
      keyOf={(item) => item.key}
      empty={{ title: texts.sessions.noneLive, text: texts.sessions.noneLiveText }}
      columns={[
        {
          title: texts.sessions.user,
          cell: (item) => (
            <>
              {userOf(item)} {item.body?.locked ? <Label color="orange">{texts.sessions.locked}</Label> : null}
            </>
          ),
        },
        { title: texts.sessions.server, cell: ({ body }) => peerName(body?.server) },
        { title: texts.sessions.client, cell: ({ body }) => peerName(body?.client) },
        { title: texts.sessions.began, cell: ({ body }) => <Moment at={body?.start_time} /> },
      ]}
      actions={(item) => {
        const { body } = item;
        const turn = body?.locked ? texts.sessions.unlock : texts.sessions.lock;
        return (
          <div className="row">
            {body?.followable ? (
              <a href={`/console/replay.html?live=${item.key}`} aria-label={`${texts.sessions.follow}: ${userOf(item)}`}>
                {texts.sessions.follow}
              </a>
            ) : null}
            <Button variant="link" isInline onClick={() => onLock(item)} aria-label={`${turn}: ${userOf(item)}`}>
              {turn}
            </Button>
            <Button variant="link" isInline isDanger onClick={() => onEnd(item)} aria-label={`${texts.sessions.end_}: ${userOf(item)}`}>
              {texts.sessions.end_}
            </Button>
          </div>
        );
      }}
    />
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
