// Keys and certificates that the appliance makes itself, so that they never leave it, and certificates that are here already.
import { FormGroup, FormSelect, FormSelectOption, TextInput, Button } from '@patternfly/react-core';
import { useId, useState } from 'react';

import { CERTIFICATES, useIdentities } from '../api/certificates';
import type { ApiDocument } from '../api/document';
import { useUses } from '../api/uses';
import { Waiting } from '../display/Shown';
import { texts } from '../texts';

export type Order = { generate: { selection: string; names?: string[]; days?: number } };

/** What kind of key, and an order to make it. */
export function MakeKey({ kinds, title, onMake }: { kinds: readonly string[]; title: string; onMake: (kind: string) => void }) {
  const [kind, setKind] = useState(kinds[0] ?? '');
  const id = useId();
  return (
    <FormGroup label={title} fieldId={id}>
      <div className="row">
        <div className="grows">
          <FormSelect id={id} value={kind} onChange={(_, value) => setKind(value)}>
            {kinds.map((one) => (
              <FormSelectOption key={one} value={one} label={texts.settings.keyKinds[one] ?? one} />
            ))}
          </FormSelect>
        </div>
        <Button variant="secondary" onClick={() => onMake(kind)}>
          {texts.settings.generate}
        </Button>
      </div>
    </FormGroup>
  );
}

/** A certificate that its own key signs: for which names, and for how long. */
export function MakeCertificate({ kinds, onMake }: { kinds: readonly string[]; onMake: (order: Order) => void }) {
  const [names, setNames] = useState(location.hostname);
  const [days, setDays] = useState('825');
  const id = useId();
  return (
    <>
      <FormGroup label={texts.settings.certificateNames} fieldId={`${id}-names`}>
        <TextInput id={`${id}-names`} value={names} onChange={(_, value) => setNames(value)} autoComplete="off" />
      </FormGroup>
      <FormGroup label={texts.settings.certificateDays} fieldId={`${id}-days`}>
        <TextInput id={`${id}-days`} inputMode="numeric" value={days} onChange={(_, value) => setDays(value)} autoComplete="off" />
      </FormGroup>
      <MakeKey
        kinds={kinds}
        title={texts.settings.certificateKind}
        onMake={(selection) => onMake({ generate: { selection, names: names.split(/[\s,;]+/).filter(Boolean), days: Number(days) } })}
      />
    </>
  );
}

/** A certificate that something else refers to already: one may serve several places. */
export function PickCertificate({ document, held, onPick }: { document: ApiDocument; held: string; onPick: (key: string) => void }) {
  const { uses, isPending } = useUses(document, CERTIFICATES);
  const keys = [...new Set(uses.map((one) => one.key))].filter((one) => one !== held);
  const { known, isPending: isAwaited } = useIdentities(keys);
  const id = useId();
  if (isPending || isAwaited) return <Waiting />;
  if (!known.length) return null;
  return (
    <FormGroup label={texts.settings.pick} fieldId={id}>
      <FormSelect id={id} value="" onChange={(_, key) => onPick(key)}>
        <FormSelectOption value="" label={texts.settings.choose} isDisabled />
        {known.map(({ key, body }) => (
          <FormSelectOption
            key={key}
            value={key}
            label={texts.settings.picked(body.subject, body.not_after.slice(0, 10), body.has_private_key, uses.find((one) => one.key === key)?.title ?? '')}
          />
        ))}
      </FormSelect>
    </FormGroup>
  );
}
