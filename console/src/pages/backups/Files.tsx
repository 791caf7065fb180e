// The archives on the target of the selected policy, which is asked when somebody wants to see them.
import { Button, Card, CardBody, CardTitle, Label } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useState } from 'react';

import { type List, useAnswer } from '../../api/queries';
import { Empty, Moment, Shown } from '../../frame/Shown';
import { texts } from '../../texts';
import { bytes } from './figures';

interface File {
  created: string;
  encrypted: boolean;
  node_id: string;
  ours: boolean;
  revision: number | null;
  signature: 'absent' | 'invalid' | 'unknown_signer' | 'valid' | null;
  size: number;
}
const COLOURS = { valid: 'green', unknown_signer: 'orange', invalid: 'red', absent: 'grey' } as const;

export function Files({ onRestore }: { onRestore: (name: string) => void }) {
  const [isAsked, setAsked] = useState(false);
  const files = useAnswer<List<File>>('/api/backup/files?limit=100', 'runs', isAsked);
  return (
    <Card>
      <CardTitle component="h2">{texts.backups.files}</CardTitle>
      <CardBody>
        {isAsked ? (
          <Shown of={files}>
            {({ items }) =>
              items.length ? (
                <Table variant="compact" aria-label={texts.backups.files}>
                  <Thead>
                    <Tr>
                      <Th>{texts.backups.file}</Th>
                      <Th>{texts.backups.time}</Th>
                      <Th>{texts.backups.size}</Th>
                      <Th>{texts.backups.signature}</Th>
                      <Th>{texts.settings.actions}</Th>
                    </Tr>
                  </Thead>
                  <Tbody>
                    {items.map(({ key, body }) => (
                      <Tr key={key}>
                        <Td dataLabel={texts.backups.file}>
                          {key} {body?.encrypted ? <Label isCompact>{texts.backups.encrypted}</Label> : null}
                        </Td>
                        <Td dataLabel={texts.backups.time}>
                          <Moment at={body?.created} />
                        </Td>
                        <Td dataLabel={texts.backups.size}>{bytes(body?.size)}</Td>
                        <Td dataLabel={texts.backups.signature}>
                          {body?.signature ? (
                            <Label isCompact color={COLOURS[body.signature]}>
                              {texts.backups.signatures[body.signature]}
                            </Label>
                          ) : (
                            texts.rights.nothing
                          )}
                        </Td>
                        <Td dataLabel={texts.settings.actions}>
                          <div className="row">
                            <a href={`/api/backup/files/${encodeURIComponent(key)}/download`} download aria-label={`${texts.download}: ${key}`}>
                              {texts.download}
                            </a>
                            <Button variant="link" isInline aria-label={`${texts.backups.restore}: ${key}`} onClick={() => onRestore(key)}>
                              {texts.backups.restore}
                            </Button>
                          </div>
                        </Td>
                      </Tr>
                    ))}
                  </Tbody>
                </Table>
              ) : (
                <Empty title={texts.backups.noFiles} text={texts.backups.noFilesText} />
              )
            }
          </Shown>
        ) : (
          <Button variant="secondary" onClick={() => setAsked(true)}>
            {texts.backups.look}
          </Button>
        )}
      </CardBody>
    </Card>
  );
}
