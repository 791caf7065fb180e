// The archives on the target of the selected policy, which is asked when somebody wants to see them.
import { Button, Card, CardBody, CardTitle, Label } from '@patternfly/react-core';
import { useState } from 'react';

import { type List, useAnswer } from '../../api/queries';
import { Rows } from '../../display/Rows';
import { Moment, Shown } from '../../display/Shown';
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
            {({ items }) => (
              <Rows
                label={texts.backups.files}
                rows={items}
                keyOf={({ key }) => key}
                empty={{ title: texts.backups.noFiles, text: texts.backups.noFilesText }}
                columns={[
                  {
                    title: texts.backups.file,
                    cell: ({ key, body }) => (
                      <>
                        {key} {body?.encrypted ? <Label isCompact>{texts.backups.encrypted}</Label> : null}
                      </>
                    ),
                  },
                  { title: texts.backups.time, cell: ({ body }) => <Moment at={body?.created} /> },
                  { title: texts.backups.size, cell: ({ body }) => bytes(body?.size) },
                  {
                    title: texts.backups.signature,
                    cell: ({ body }) =>
                      body?.signature ? (
                        <Label isCompact color={COLOURS[body.signature]}>
                          {texts.backups.signatures[body.signature]}
                        </Label>
                      ) : (
                        texts.rights.nothing
                      ),
                  },
                ]}
                actions={({ key }) => (
                  <div className="row">
                    <a href={`/api/backup/files/${encodeURIComponent(key)}/download`} download aria-label={`${texts.download}: ${key}`}>
                      {texts.download}
                    </a>
                    <Button variant="link" isInline aria-label={`${texts.backups.restore}: ${key}`} onClick={() => onRestore(key)}>
                      {texts.backups.restore}
                    </Button>
                  </div>
                )}
              />
            )}
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
