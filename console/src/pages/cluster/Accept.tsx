// Accepting a node by the code that it showed when it asked to join.
import { Alert, Card, CardBody, CardTitle, FormGroup, TextArea } from '@patternfly/react-core';
import { useState } from 'react';

import type { ApiDocument } from '../../api/document';
import { type Json, isMembers } from '../../api/json';
import { OrderForm } from '../../forms/OrderForm';
import { texts } from '../../texts';

function read(text: string): Record<string, Json> | null {
  try {
    const value = JSON.parse(text) as Json;
    return isMembers(value) && typeof value.psk === 'string' ? value : null;
  } catch {
    return null;
  }
}

export function Accept({ document }: { document: ApiDocument }) {
  const [text, setText] = useState('');
  const [isDone, setDone] = useState(false);
  const code = read(text.trim());
  return (
    <Card>
      <CardTitle component="h2">{texts.cluster.accept}</CardTitle>
      <CardBody>
        <p>{texts.cluster.acceptText}</p>
        {isDone ? <Alert isInline variant="success" component="h3" title={texts.settings.saved} /> : null}
        <FormGroup label={texts.cluster.paste} fieldId="join-code">
          <TextArea id="join-code" className="json" value={text} validated={text && !code ? 'error' : 'default'} onChange={(_, value) => setText(value)} resizeOrientation="vertical" />
          {text && !code ? <p role="alert">{texts.cluster.noCode}</p> : null}
        </FormGroup>
        {code ? (
          <OrderForm
            key={text}
            document={document}
            method="POST"
            path="/api/cluster/nodes"
            given={code}
            without={['psk', 'node_id', 'roles']}
            submit={texts.cluster.accept}
            onDone={() => {
              setDone(true);
              setText('');
            }}
          />
        ) : null}
      </CardBody>
    </Card>
  );
}
