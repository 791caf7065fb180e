// The objects of a collection, and a form for another one.
import { Button, Card, CardBody, CardTitle, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import { type ApiDocument, type Endpoint, useDocument } from '../../api/document';
import type { Json } from '../../api/json';
import { type Item, useChange, useNode } from '../../api/queries';
import { useRights } from '../../api/rights';
import { nameOf } from '../../forms/schema';
import { Rows } from '../../display/Rows';
import { Shown } from '../../display/Shown';
import { texts } from '../../texts';
import { About } from './About';
import { BodyForm } from './BodyForm';
import { MakeObject } from './MakeObject';
import { settingsPath } from '../../api/paths';
import { summary } from './summary';

export function CollectionPage({ endpoint }: { endpoint: Endpoint }) {
  const document = useDocument();
  const node = useNode(endpoint.path);
  const [isAdding, setAdding] = useState(false);
  const mayWrite = useRights().mayWrite(endpoint.privilege, endpoint.path);
  const isWritable = endpoint.writable && mayWrite;
  return (
    <Shown of={document}>
      {(found) => (
        <>
          <About document={found} endpoint={endpoint} />
          <Shown of={node}>{(list) => <Objects endpoint={endpoint} items={list.items} isWritable={isWritable} />}</Shown>
          {isWritable && !isAdding ? (
            <Button variant="secondary" onClick={() => setAdding(true)}>
              {texts.settings.add(endpoint.title)}
            </Button>
          ) : null}
          {isAdding ? <Adding document={found} endpoint={endpoint} onDone={() => setAdding(false)} /> : null}
        </>
      )}
    </Shown>
  );
}

function Adding({ document, endpoint, onDone }: { document: ApiDocument; endpoint: Endpoint; onDone: () => void }) {
  return (
    <Card>
      <CardTitle component="h3">{texts.settings.add(endpoint.title)}</CardTitle>
      <CardBody>
        <BodyForm document={document} endpoint={endpoint} path={endpoint.path} method="POST" making={MakeObject} onDone={onDone} onCancel={onDone} />
      </CardBody>
    </Card>
  );
}

function Objects({ endpoint, items, isWritable }: { endpoint: Endpoint; items: Item<Json>[]; isWritable: boolean }) {
  const change = useChange();
  const [removed, setRemoved] = useState<Item<Json> | null>(null);
  const move = (index: number, by: -1 | 1) => {
    const keys = items.map((item) => item.key);
    const [key] = keys.splice(index, 1);
    if (key) keys.splice(index + by, 0, key);
    change.mutate({ method: 'PUT', path: endpoint.path, body: { '@order': keys } });
  };
  const nameOfItem = (item: Item<Json>) => nameOf(item.body) || item.key;
  return (
    <>
      <Rows
        label={endpoint.title}
        rows={items}
        keyOf={(item) => item.key}
        empty={{ title: texts.settings.empty, text: isWritable ? texts.settings.emptyText : '' }}
        columns={[
          {
            title: texts.settings.name,
            cell: (item) => (
              <Link to="/settings/$" params={{ _splat: settingsPath(`${endpoint.path}/${item.key}`) }}>
                {nameOfItem(item)}
              </Link>
            ),
          },
          { title: texts.settings.summary, cell: (item) => summary(item.body) },
        ]}
        actions={
          isWritable
            ? (item, index) => (
                <>
                  {endpoint.ordered ? (
                    <>
                      <Button variant="plain" size="sm" aria-label={`${texts.settings.up}: ${nameOfItem(item)}`} isDisabled={index === 0} onClick={() => move(index, -1)}>
                        ↑
                      </Button>
                      <Button variant="plain" size="sm" aria-label={`${texts.settings.down}: ${nameOfItem(item)}`} isDisabled={index === items.length - 1} onClick={() => move(index, 1)}>
                        ↓
                      </Button>
                    </>
                  ) : null}
                  {endpoint.built_in.includes(item.key) ? null : (
                    <Button variant="link" isInline aria-label={`${texts.settings.remove}: ${nameOfItem(item)}`} onClick={() => setRemoved(item)}>
                      {texts.settings.remove}
                    </Button>
                  )}
                </>
              )
            : undefined
        }
      />
      <Modal isOpen={!!removed} variant="small" aria-labelledby="removed" onClose={() => setRemoved(null)}>
        <ModalHeader title={texts.settings.removeTitle(nameOf(removed?.body) || (removed?.key ?? ''))} labelId="removed" />
        <ModalBody>{change.error ? change.error.message : texts.settings.removeText}</ModalBody>
        <ModalFooter>
          <Button
            variant="danger"
            isDisabled={change.isPending}
            onClick={() =>
              change.mutate({ method: 'DELETE', path: `${endpoint.path}/${removed?.key ?? ''}` }, { onSuccess: () => setRemoved(null) })
            }
          >
            {texts.settings.remove}
          </Button>
          <Button variant="link" onClick={() => setRemoved(null)}>
            {texts.settings.cancel}
          </Button>
        </ModalFooter>
      </Modal>
    </>
  );
}
