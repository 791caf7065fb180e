// A text that is shown once, to be copied.
import { Button, TextInput } from '@patternfly/react-core';
import { useState } from 'react';

import { texts } from '../texts';

export function Secret({ title, children }: { title: string; children: string }) {
  const [isCopied, setCopied] = useState(false);
  return (
    <div className="row">
      <div className="grows">
        <TextInput readOnlyVariant="default" aria-label={title} value={children} />
      </div>
      <Button variant="secondary" onClick={() => void navigator.clipboard.writeText(children).then(() => setCopied(true))}>
        {texts.copy}
      </Button>
      <span role="status">{isCopied ? texts.settings.copied : ''}</span>
    </div>
  );
}
