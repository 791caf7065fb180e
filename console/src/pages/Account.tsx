// The reader's own account: its password, its tokens.
import { Alert, Button, Card, CardBody, CardTitle, Label, Stack } from '@patternfly/react-core';
import { useState } from 'react';

import { type ApiDocument, useDocument } from '../api/document';
import { type Answer, type Item, type List, useAnswer, useOrder, useUser } from '../api/queries';
import { OrderForm, Refusal } from '../forms/OrderForm';
import { Asked } from '../display/Asked';
import { Rows } from '../display/Rows';
import { Secret } from '../display/Secret';
import { Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';

interface Token {
  name: string;
  created: string;
  expires: string;
  last_used: string | null;
  rights: 'own' | 'read';
  paths: string[];
  networks: string[];
}
const TOKENS = '/api/user/tokens';

export function Account() {
  const document = useDocument();
  const user = useUser();
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.account}</Heading>
      <p>
        {user.data?.body.name} {(user.data?.body.groups ?? []).map((one) => <Label key={one} isCompact>{one}</Label>)}
      </p>
      <Shown of={document}>
        {(found) => (
          <>
            <Tokens document={found} />
            <Password document={found} />
          </>
        )}
      </Shown>
    </Stack>
  );
}

function Password({ document }: { document: ApiDocument }) {
  const [isDone, setDone] = useState(false);
  return (
    <Card>
      <CardTitle component="h2">{texts.account.password}</CardTitle>
      <CardBody>
        <p>{texts.account.passwordText}</p>
        {isDone ? <Alert isInline variant="success" component="h3" title={texts.account.changed} /> : null}
        <OrderForm document={document} method="PUT" path="/api/user/password" submit={texts.account.change} onDone={() => setDone(true)} />
      </CardBody>
    </Card>
  );
}

function Tokens({ document }: { document: ApiDocument }) {
  const tokens = useAnswer<List<Token>>(TOKENS);
  const order = useOrder();
  const [made, setMade] = useState<string | null>(null);
  const [isMaking, setMaking] = useState(false);
  const [ended, setEnded] = useState<Item<Token> | null>(null);
  return (
    <Card>
      <CardTitle component="h2">{texts.account.tokens}</CardTitle>
      <CardBody>
        <Stack hasGutter>
          {made ? (
            <Alert isInline variant="success" component="h3" title={texts.account.made}>
              <Secret title={texts.account.token}>{made}</Secret>
            </Alert>
          ) : null}
          <Refusal error={order.error} />
          <Shown of={tokens}>
            {({ items }) => <TokenRows items={items} onEnd={setEnded} />}
          </Shown>
          {isMaking ? (
            <OrderForm<Answer<{ token: string }>>
              document={document}
              method="POST"
              path={TOKENS}
              given={{ rights: 'read', expires_days: 90 }}
              submit={texts.account.make}
              onDone={({ body }) => {
                setMade(body.token);
                setMaking(false);
              }}
            />
          ) : (
            <div>
              <Button variant="secondary" onClick={() => setMaking(true)}>
                {texts.account.make}
              </Button>
            </div>
          )}
        </Stack>
      </CardBody>
      <Asked
        isOpen={!!ended}
        title={texts.account.endTitle(ended?.body?.name ?? '')}
        text={texts.account.endText}
        action={texts.account.end}
        onNo={() => setEnded(null)}
        onYes={() => order.mutate({ method: 'DELETE', path: `${TOKENS}/${ended?.key ?? ''}` }, { onSettled: () => setEnded(null) })}
      />
    </Card>
  );
}

function TokenRows({ items, onEnd }: { items: Item<Token>[]; onEnd: (item: Item<Token>) => void }) {
  return (
    <Rows
      label={texts.account.tokens}
      rows={items}
      keyOf={(one) => one.key}
      empty={{ title: texts.account.none, text: texts.account.noneText }}
      columns={[
        { title: texts.settings.name, cell: ({ body }) => body?.name },
        {
          title: texts.account.rights,
          cell: ({ body }) => (body ? [texts.account.kinds[body.rights], [...body.paths, ...body.networks].join(', ')].join(' ') : ''),
        },
        { title: texts.account.expires, cell: ({ body }) => <Moment at={body?.expires} /> },
        { title: texts.account.used, cell: ({ body }) => (body?.last_used ? <Moment at={body.last_used} /> : texts.account.never) },
      ]}
      actions={(one) => (
        <Button variant="link" isInline isDanger aria-label={`${texts.account.end}: ${one.body?.name ?? ''}`} onClick={() => onEnd(one)}>
          {texts.account.end}
        </Button>
      )}
    />
  );
}
