// The same change for a shell: by curl, or by the command of the appliance.
import { Button } from '@patternfly/react-core';
import { useState } from 'react';

import { ROOT } from '../../api/document';
import type { Json } from '../../api/json';
import { texts } from '../../texts';

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

export function Copies({ method, path, body }: { method: string; path: string; body: Json }) {
  const [told, setTold] = useState('');
  const json = JSON.stringify(body);
  const curl = `curl --cacert ca.pem --cookie-jar cookies --cookie cookies -X ${method} -H 'Content-Type: application/json' --data ${quoted(json)} ${quoted(location.origin + path)}`;
  const command = `doorward ${method === 'POST' ? 'add' : 'set'} ${path.slice(ROOT.length + 1)} ${quoted(json)}`;
  const copy = (text: string) => void navigator.clipboard.writeText(text).then(() => setTold(texts.settings.copied));
  return (
    <div className="row">
      <Button variant="link" isInline onClick={() => copy(curl)}>
        {texts.settings.copyCurl}
      </Button>
      <Button variant="link" isInline onClick={() => copy(command)}>
        {texts.settings.copyCommand}
      </Button>
      <span role="status">{told}</span>
    </div>
  );
}
