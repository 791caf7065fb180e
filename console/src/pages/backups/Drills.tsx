// Restore drills: whether an archive could be read, and would work, without anything being restored.
import { Button, Card, CardBody, CardTitle, Label } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';

import { type List, useAnswer, useOrder } from '../../api/queries';
import { Refusal } from '../../forms/OrderForm';
import { Empty, Moment, Shown } from '../../frame/Shown';
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
          {({ items }) =>
            items.length ? (
              <Table variant="compact" aria-label={texts.backups.drills}>
                <Thead>
                  <Tr>
                    <Th>{texts.backups.time}</Th>
                    <Th>{texts.backups.file}</Th>
                    <Th>{texts.backups.state}</Th>
                    <Th>{texts.backups.problem}</Th>
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map(({ key, body }) => (
                    <Tr key={key}>
                      <Td dataLabel={texts.backups.time}>
                        <Moment at={body?.started ?? body?.ended} />
                      </Td>
                      <Td dataLabel={texts.backups.file}>{body?.file}</Td>
                      <Td dataLabel={texts.backups.state}>
                        {body?.result ?? texts.backups.runningNow}{' '}
                        {Object.entries(body?.levels ?? {}).map(([name, level]) => (
                          <Label key={name} isCompact color={level.passed === null ? 'grey' : level.passed ? 'green' : 'red'}>
                            {texts.backups.levels[name] ?? name}: {level.passed === null ? texts.backups.untried : level.passed ? texts.backups.passed : texts.backups.failed}
                          </Label>
                        ))}
                      </Td>
                      <Td dataLabel={texts.backups.problem}>{body?.message}</Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            ) : (
              <Empty title={texts.backups.noDrills} text={texts.backups.noDrillsText} />
            )
          }
        </Shown>
      </CardBody>
    </Card>
  );
}
