// What the transaction changes, what its commit would do, and the commit.
import { Alert, Card, CardBody, CardTitle, Stack } from '@patternfly/react-core';
import { useState } from 'react';

import { useChanges, usePlan, useTransaction } from '../api/queries';
import { Empty, Heading, Shown } from '../display/Shown';
import { texts } from '../texts';
import { Changes } from './review/Changes';
import { Commit } from './review/Commit';
import { Conflicts } from './review/Conflicts';
import { PlanShown } from './review/PlanShown';

export function Review() {
  const changes = useChanges();
  // Asked for at once, not when the changes have come and are drawn.
  usePlan();
  useTransaction();
  const [done, setDone] = useState<number | null>(null);
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.review}</Heading>
      {done !== null ? <Alert isInline variant="success" component="h2" title={texts.review.done(done)} /> : null}
      <Shown of={changes}>
        {(found) =>
          found.changes.length ? (
            <>
              <Collisions />
              <Changes changes={found.changes} />
              <Plan />
              <Commit onDone={setDone} />
            </>
          ) : (
            <Empty title={texts.review.none} text={texts.review.noneText} />
          )
        }
      </Shown>
    </Stack>
  );
}

function Collisions() {
  const paths = usePlan().data?.body.conflicts ?? [];
  return paths.length ? <Conflicts paths={paths} /> : null;
}

function Plan() {
  const plan = usePlan();
  return (
    <Card>
      <CardTitle component="h2">{texts.review.plan}</CardTitle>
      <CardBody>
        <Shown of={plan}>{({ body }) => <PlanShown body={body} />}</Shown>
      </CardBody>
    </Card>
  );
}
