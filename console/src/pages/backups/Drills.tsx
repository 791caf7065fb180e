// Restore drills: whether an archive could be read, and would work, without anything being restored.
import { Button, Card, CardBody, CardTitle, Label } from '@patternfly/react-core';

import { type List, useAnswer, useOrder } from '../../api/queries';
import { Refusal } from '../../forms/OrderForm';
import { Rows } from '../../display/Rows';
import { Moment, Shown } from '../../display/Shown';
import { texts } from '../../texts';

interface Level {
  basis: string | null;
  passed: boolean | null;
}
interface Drill {
  started: string | null;
  ended: string | null;
  file: string | null;
  levels: Record<string, Level>;
  message: string | null;
  result: string | null;
}
const HREF = '/api/backup/drills';

export function Drills({ mayBegin }: { mayBegin: boolean }) {
  const drills = useAnswer<List<Drill>>(`${HREF}?limit=20`, 'runs');
  const order = useOrder();
  return (
    <Card>
      <CardTitle component="h2">{texts.backups.drills}</CardTitle>
      <CardBody>
        <p>{texts.backups.drillsText}</p>
        {mayBegin ? (
          <Button
            variant="secondary"
            isDisabled={order.isPending}
            onClick={() => order.mutate({ method: 'POST', path: HREF, body: { source: { selection: 'target', value: null } } })}
          >
            {texts.backups.drill}
          </Button>
        ) : null}
        <Refusal error={order.error} />
        <Shown of={drills}>
          {({ items }) => (
            <Rows
              label={texts.backups.drills}
              rows={items}
              keyOf={({ key }) => key}
              empty={{ title: texts.backups.noDrills, text: texts.backups.noDrillsText }}
              columns={[
                { title: texts.backups.time, cell: ({ body }) => <Moment at={body?.started ?? body?.ended} /> },
                { title: texts.backups.file, cell: ({ body }) => body?.file },
                {
                  title: texts.backups.state,
                  cell: ({ body }) => (
                    <>
                      {texts.backups.outcomes[body?.result ?? ''] ?? body?.result ?? texts.backups.runningNow}{' '}
                      {Object.entries(body?.levels ?? {}).map(([name, level]) => (
                        <Label key={name} isCompact color={level.passed === null ? 'grey' : level.passed ? 'green' : 'red'}>
                          {texts.backups.levels[name] ?? name}: {level.passed === null ? texts.backups.untried : level.passed ? texts.backups.passed : texts.backups.failed}
                        </Label>
                      ))}
                    </>
                  ),
                },
                { title: texts.backups.problem, cell: ({ body }) => body?.message },
              ]}
            />
          )}
        </Shown>
      </CardBody>
    </Card>
  );
}
