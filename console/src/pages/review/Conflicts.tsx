// Places that somebody else changed meanwhile: mine beside theirs.
import { Alert, Card, CardBody, CardTitle } from '@patternfly/react-core';

import type { Conflict } from '../../api/client';
import { useDocument, trail } from '../../api/document';
import { useChanges } from '../../api/queries';
import { texts } from '../../texts';

export function Conflicts({ conflicts }: { conflicts: Conflict[] }) {
  const document = useDocument();
  const changes = useChanges();

  return (
    <Alert isInline variant="warning" component="h3" title={texts.review.conflicts}>
      <p>{texts.review.solve}</p>
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
            </CardBody>
          </Card>
        );
      })}
    </Alert>
  );
}
