// The trial of a target: every step with what came of it.
import { Alert, Button, Card, CardBody, CardTitle, FormSelect, FormSelectOption, List as Lines, ListItem } from '@patternfly/react-core';
import { useState } from 'react';

import { ROOT } from '../../api/document';
import { type Answer, useNode, useOrder } from '../../api/queries';
import { Refusal } from '../../forms/OrderForm';
import { nameOf } from '../../forms/schema';
import { Empty, Shown } from '../../display/Shown';
import { texts } from '../../texts';

interface Trial {
  code: string | null;
  message: string | null;
  steps: { milliseconds: number; result: 'failed' | 'ok'; step: string }[];
}

export function TargetTest() {
  const policies = useNode(`${ROOT}/policies/backup_policies`);
  const order = useOrder<Answer<Trial>>();
  const [chosen, setChosen] = useState('');
  return (
    <Card>
      <CardTitle component="h2">{texts.backups.test}</CardTitle>
      <CardBody>
        <Shown of={policies}>
          {({ items }) => {
            const key = chosen || items[0]?.key || '';
            return items.length ? (
              <div className="row">
                <div>
                  <FormSelect aria-label={texts.backups.policy} value={key} onChange={(_, value) => setChosen(value)}>
                    {items.map((one) => (
                      <FormSelectOption key={one.key} value={one.key} label={nameOf(one.body) || one.key} />
                    ))}
                  </FormSelect>
                </div>
                <Button
                  variant="secondary"
                  isLoading={order.isPending}
                  isDisabled={order.isPending}
                  onClick={() => order.mutate({ method: 'POST', path: '/api/backup/target_tests', body: { backup_policy: key } })}
                >
                  {texts.backups.try}
                </Button>
              </div>
            ) : (
              <Empty title={texts.backups.noPolicy} text={texts.backups.noPolicyText} />
            );
          }}
        </Shown>
        <Refusal error={order.error} />
        {order.data ? <Steps trial={order.data.body} /> : null}
      </CardBody>
    </Card>
  );
}

function Steps({ trial }: { trial: Trial }) {
  const isGood = trial.code === null;
  return (
    <Alert isInline variant={isGood ? 'success' : 'danger'} component="h3" title={isGood ? texts.backups.works : (trial.message ?? texts.backups.failed)}>
      <Lines isPlain>
        {trial.steps.map((one) => (
          <ListItem key={one.step}>
            {texts.backups.steps[one.step] ?? one.step}: {one.result === 'ok' ? texts.backups.passed : texts.backups.failed} ({one.milliseconds} ms)
          </ListItem>
        ))}
      </Lines>
    </Alert>
  );
}
