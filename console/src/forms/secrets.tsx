// A reference to a secret: what is there is never shown; a new one is typed, or pasted, and stored by itself.
import { Button, FormFieldGroup, FormFieldGroupHeader, FormGroup, HelperText, HelperTextItem, TextArea, TextInput } from '@patternfly/react-core';
import { useId, useState } from 'react';

import { ApiError, call } from '../api/client';
import { texts } from '../texts';
import { type FieldProps, idOf, useForm } from './context';
import { Hints } from './Labelled';
import { keyOf } from './references';

const KINDS: Record<string, { label: string; isLong: boolean; body: (text: string) => Record<string, string> }> = {
  passwords: { label: texts.settings.secretKind.password, isLong: false, body: (text) => ({ plain: text }) },
  private_keys: { label: texts.settings.secretKind.key, isLong: true, body: (text) => ({ private_key: text }) },
  x509: {
    label: texts.settings.secretKind.certificate,
    isLong: true,
    body: (text) => {
      const keys = text.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----\n?/g) ?? [];
      const certificate = keys.reduce((left, key) => left.replace(key, ''), text);
      return { certificate: certificate.trim() + '\n', private_key: keys.join('') };
    },
  },
};

function generated(): string {
  const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-_.';
  const bytes = crypto.getRandomValues(new Uint32Array(24));
  return Array.from(bytes, (one) => letters[one % letters.length]).join('');
}

export function SecretField({ to, ...props }: FieldProps & { to: string }) {
  const { isReadOnly } = useForm();
  const [text, setText] = useState('');
  const [told, setTold] = useState('');
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const kind = KINDS[to.split('/').at(-1) ?? ''] ?? KINDS.passwords;
  if (!kind) return null;
  const has = keyOf(props.value) !== '';

  async function store() {
    if (!kind) return;
    try {
      await call('POST', '/api/transaction');
      const made = await call<{ key: string }>('POST', to, kind.body(text));
      props.onChange(made.key);
      setText('');
      setOpen(false);
      setTold(texts.settings.secretStored);
    } catch (error) {
      const problems = error instanceof ApiError ? error.problems.map((one) => one.message) : [];
      setTold(problems.join(' ') || String((error as Error).message));
    }
  }

  return (
    <FormFieldGroup
      header={
        <FormFieldGroupHeader
          titleText={{ text: props.title, id: `${idOf(props.pointer)}-title` }}
          titleDescription={props.schema.description}
          actions={
            isReadOnly || isOpen ? undefined : (
              <Button variant="secondary" size="sm" onClick={() => setOpen(true)} aria-label={`${has ? texts.settings.replace : texts.settings.make}: ${props.title}`}>
                {has ? texts.settings.replace : texts.settings.make}
              </Button>
            )
          }
        />
      }
    >
      <HelperText>
        <HelperTextItem>{has ? texts.settings.secretKept : texts.settings.secretNone}</HelperTextItem>
        {told ? <HelperTextItem variant="default">{told}</HelperTextItem> : null}
      </HelperText>
      <Hints pointer={props.pointer} />
      {isOpen ? (
        <>
          <FormGroup label={`${texts.settings.secretNew}: ${kind.label}`} fieldId={id}>
            {kind.isLong ? (
              <TextArea id={id} value={text} onChange={(_, value) => setText(value)} autoComplete="off" resizeOrientation="vertical" className="json" />
            ) : (
              <TextInput id={id} type="password" value={text} onChange={(_, value) => setText(value)} autoComplete="new-password" />
            )}
          </FormGroup>
          <div className="row">
            <Button variant="secondary" isDisabled={!text} onClick={() => void store()}>
              {texts.settings.paste}
            </Button>
            {kind.isLong ? null : (
              <Button variant="link" onClick={() => setText(generated())}>
                {texts.settings.generate}
              </Button>
            )}
            <Button variant="link" onClick={() => setOpen(false)}>
              {texts.settings.cancel}
            </Button>
          </div>
        </>
      ) : null}
    </FormFieldGroup>
  );
}
