// Places that somebody else changed meanwhile: mine beside theirs, solved one by one.
import { Alert, Button, Card, CardBody, CardTitle } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { ApiError, type Conflict, call } from '../../api/client';
import { type Json, useDocument, trail } from '../../api/document';
import { type Change, forget, useChanges } from '../../api/queries';
import { texts } from '../../texts';

type Choice = 'mine' | 'theirs';

/** Begin the transaction anew on what runs now, and put back into it what is mine. */
async function solve(changes: Change[], bodies: Map<string, Json>, choices: Record<string, Choice>): Promise<void> {
  await call('DELETE', '/api/transaction');
  await call('POST', '/api/transaction');
  const paths = [...new Set(changes.map((one) => one.path.split('#')[0] ?? ''))];
  for (const path of paths) {
    if (choices[path] === 'theirs') continue;
    const isGone = changes.some((one) => one.path === path && one.type === 'delete');
    const body = bodies.get(path);
    const isNew = changes.some((one) => one.path === path && one.type === 'create');
    if (isGone) await call('DELETE', path);
    else if (isNew && body !== undefined) await call('POST', path.slice(0, path.lastIndexOf('/')), body);
    else if (body !== undefined) await call('PUT', path, body);
  }
}

export function Conflicts({ conflicts }: { conflicts: Conflict[] }) {
  const cache = useQueryClient();
  const document = useDocument();
  const changes = useChanges();
  const [choices, setChoices] = useState<Record<string, Choice>>({});
  const [told, setTold] = useState('');
  const isDecided = conflicts.every((one) => choices[one.path.split('#')[0] ?? '']);

  async function apply() {
    try {
      const all = changes.data?.changes ?? [];
      const bodies = new Map<string, Json>();
      for (const path of new Set(all.map((one) => one.path.split('#')[0] ?? ''))) {
        const isGone = all.some((one) => one.path === path && one.type === 'delete');
        if (!isGone && choices[path] !== 'theirs') bodies.set(path, (await call<{ body: Json }>('GET', path)).body);
      }
      await solve(all, bodies, choices);
      setTold('');
    } catch (error) {
      setTold(error instanceof ApiError ? error.message : String(error));
    }
    await forget(cache);
  }

  return (
    <Alert isInline variant="warning" component="h3" title={texts.review.conflicts}>
      {conflicts.map((one) => {
        const path = one.path.split('#')[0] ?? '';
        const mine = changes.data?.changes.filter((change) => change.path.split('#')[0] === path) ?? [];
        return (
          <Card key={one.path} isCompact>
            <CardTitle component="h4">{document.data ? trail(document.data, path).join(' › ') : path}</CardTitle>
            <CardBody>
              <p>{texts.review.conflictBy(one.author, one.revision)}</p>
              <p>
                <strong>{texts.review.mine}: </strong>
                <span className="value">{JSON.stringify(mine.map((change) => change.new_value ?? null))}</span>
              </p>
              <p>
                <strong>{texts.review.theirs}: </strong>
                <span className="value">{JSON.stringify(one.running_value ?? null)}</span>
              </p>
              <div className="row">
                <Button variant={choices[path] === 'mine' ? 'primary' : 'secondary'} size="sm" aria-pressed={choices[path] === 'mine'} onClick={() => setChoices({ ...choices, [path]: 'mine' })}>
                  {texts.review.takeMine}
                </Button>
                <Button variant={choices[path] === 'theirs' ? 'primary' : 'secondary'} size="sm" aria-pressed={choices[path] === 'theirs'} onClick={() => setChoices({ ...choices, [path]: 'theirs' })}>
                  {texts.review.takeTheirs}
                </Button>
              </div>
            </CardBody>
          </Card>
        );
      })}
      {told ? <p>{told}</p> : null}
      <Button isDisabled={!isDecided} onClick={() => void apply()}>
        {texts.review.solve}
      </Button>
    </Alert>
  );
}
