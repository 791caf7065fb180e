// Places that somebody else changed meanwhile: mine beside theirs, a choice for each. The server brings the transaction up to what
// runs with them, all of it or nothing.
import { Alert, Button, Card, CardBody, CardTitle, Flex, FlexItem, FormGroup, Radio, Stack, StackItem } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';

import { ApiError, type Conflict, call } from '../../api/client';
import { type ApiDocument, bodySchema, locate, placeTitle, trail, useDocument } from '../../api/document';
import type { Json } from '../../api/json';
import { type Change, useChanges, useOrder } from '../../api/queries';
import { nameOf } from '../../forms/schema';
import { Refusal } from '../../forms/OrderForm';
import { Shown } from '../../display/Shown';
import { texts } from '../../texts';
import { Value } from './Changes';

type Choice = 'mine' | 'theirs';

const HREF = '/api/transaction/rebase';
const idOf = (one: Conflict) => `${one.path}@${one.revision}`;

async function found(): Promise<Conflict[]> {
  try {
    await call('POST', HREF, {});
    return [];
  } catch (error) {
    if (error instanceof ApiError && error.conflicts.length) return error.conflicts;
    throw error;
  }
}

export function Conflicts({ paths }: { paths: string[] }) {
  const document = useDocument();
  const changes = useChanges();
  const conflicts = useQuery({ queryKey: ['transaction', 'conflicts', paths], queryFn: found });
  // Whoever has just tried to commit is at the other end of the page.
  const place = useRef<HTMLDivElement>(null);
  const isThere = !!document.data && !!conflicts.data;
  useEffect(() => {
    if (!isThere) return;
    place.current?.focus({ preventScroll: true });
    place.current?.scrollIntoView({ block: 'start' });
  }, [isThere]);
  return (
    <div ref={place} id="conflicts" tabIndex={-1}>
      <Card>
        <CardTitle component="h2">{texts.review.conflicts}</CardTitle>
        <CardBody>
          <Shown of={document}>
            {(known) => <Shown of={conflicts}>{(list) => <Choices document={known} conflicts={list} changes={changes.data?.changes ?? []} />}</Shown>}
          </Shown>
        </CardBody>
      </Card>
    </div>
  );
}

function Choices({ document, conflicts, changes }: { document: ApiDocument; conflicts: Conflict[]; changes: Change[] }) {
  const [chosen, setChosen] = useState<Record<string, Choice>>({});
  const order = useOrder();
  // What the choices together make impossible comes in the answer to them.
  const more = order.error instanceof ApiError ? order.error.conflicts.filter((one) => !conflicts.some((other) => idOf(other) === idOf(one))) : [];
  const all = [...conflicts, ...more];
  const paths = (choice: Choice) => all.filter((one) => chosen[idOf(one)] === choice).map((one) => one.path);
  const isDone = all.every((one) => chosen[idOf(one)]);
  if (!all.length) return null;
  return (
    <Stack hasGutter>
      <StackItem>{texts.review.solve}</StackItem>
      {all.map((one) => (
        <StackItem key={idOf(one)}>
          <OneConflict
            conflict={one}
            mine={changes.filter((change) => change.path === one.path || change.path.startsWith(one.path + (one.path.includes('#') ? '/' : '#')))}
            document={document}
            choice={chosen[idOf(one)]}
            onChoose={(choice) => setChosen({ ...chosen, [idOf(one)]: choice })}
          />
        </StackItem>
      ))}
      {order.error && !(order.error instanceof ApiError && order.error.conflicts.length) ? <Refusal error={order.error} /> : null}
      {more.length ? <Alert isInline variant="warning" component="h3" title={texts.review.again} /> : null}
      <StackItem>
        <Button
          variant="primary"
          isDisabled={!isDone || order.isPending}
          onClick={() =>
            order.mutate({
              method: 'POST',
              path: HREF,
              body: { mine: paths('mine'), theirs: paths('theirs'), revision: Math.max(...all.map((one) => one.revision)) },
            })
          }
        >
          {texts.review.settle}
        </Button>
      </StackItem>
    </Stack>
  );
}

interface OneProps {
  conflict: Conflict;
  mine: Change[];
  document: ApiDocument;
  choice: Choice | undefined;
  onChoose: (choice: Choice) => void;
}

function OneConflict({ conflict, mine, document, choice, onChoose }: OneProps) {
  const [path = '', place = ''] = conflict.path.split('#');
  const at = locate(document, path);
  const schema = at ? bodySchema(document, at.endpoint) : null;
  const titles = at ? trail(document, at.endpoint.path) : [path];
  const theirs = (conflict.running_value ?? undefined) as Json | undefined;
  const whole = place ? undefined : (theirs ?? mine[0]?.new_value ?? mine[0]?.old_value);
  if (at?.key) titles.push(nameOf(whole) || at.key);
  if (place) titles.push(placeTitle(document, schema, `/${place}`));
  const title = titles.join(' › ');
  const side = (which: Choice, label: string, shown: React.ReactNode) => (
    <FlexItem flex={{ default: 'flex_1' }} className="entry">
      <Radio
        id={`${which}-${idOf(conflict)}`}
        name={idOf(conflict)}
        label={label}
        description={shown}
        isChecked={choice === which}
        onChange={() => onChoose(which)}
      />
    </FlexItem>
  );
  return (
    <FormGroup role="radiogroup" isStack label={title} fieldId={`conflict-${idOf(conflict)}`}>
      <p>{texts.review.conflictBy(conflict.author, conflict.revision)}</p>
      <Flex direction={{ default: 'column', md: 'row' }} alignItems={{ default: 'alignItemsFlexStart' }}>
        {side(
          'mine',
          texts.review.mine,
          mine.map((one) => {
            const own = one.path.split('#')[1] ?? '';
            return one.type === 'delete' ? (
              <span key={one.path}>{texts.review.removed}</span>
            ) : (
              <Value key={one.path} value={one.new_value ?? one.new_order} document={document} schema={schema} place={own} />
            );
          }),
        )}
        {side(
          'theirs',
          texts.review.theirs,
          theirs === undefined ? texts.review.removed : <Value value={theirs} document={document} schema={schema} place={place} />,
        )}
      </Flex>
    </FormGroup>
  );
}
