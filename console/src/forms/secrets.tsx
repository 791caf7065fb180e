// A reference to a secret: what is there is never shown; a new one is typed, or pasted, and stored by itself.
import {
  Button, FormFieldGroup, FormFieldGroupHeader, FormGroup, FormSelect, FormSelectOption, HelperText, HelperTextItem, TextArea, TextInput,
} from '@patternfly/react-core';
import { useId, useState } from 'react';

import { ApiError, call } from '../api/client';
import { Secret } from '../frame/Secret';
import { texts } from '../texts';
import { type FieldProps, useIdOf, useForm } from './context';
import { Hints } from './Labelled';
import { keyOf } from './references';

interface SecretKind {
  label: string;
  isLong: boolean;
  body: (text: string) => Record<string, string>;
  /** Kinds of keys that the appliance makes itself, so that they never leave it. */
  made?: readonly string[];
}

const KINDS: Record<string, SecretKind> = {
  passwords: { label: texts.settings.secretKind.password, isLong: false, body: (text) => ({ plain: text }) },
  private_keys: { label: texts.settings.secretKind.key, isLong: true, body: (text) => ({ private_key: text }), made: ['ed25519', 'ecdsa-p256', 'rsa-4096'] },
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
  const idOf = useIdOf();
  const { isReadOnly } = useForm();
  const [text, setText] = useState('');
  const [told, setTold] = useState('');
  const [isOpen, setOpen] = useState(false);
  const [publicKey, setPublicKey] = useState('');
  const id = useId();
  const kind = KINDS[to.split('/').at(-1) ?? ''] ?? KINDS.passwords;
  if (!kind) return null;
  const has = keyOf(props.value) !== '';

  async function store(body: object) {
    try {
      await call('POST', '/api/transaction');
      const made = await call<{ body?: { public_key?: string }; key: string }>('POST', to, body);
      props.onChange(made.key);
      setPublicKey(made.body?.public_key ?? '');
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
      {publicKey ? (
        <FormGroup label={texts.settings.publicKey} role="group">
          <Secret title={texts.settings.publicKey}>{publicKey}</Secret>
        </FormGroup>
      ) : null}
      {isOpen ? (
        <>
          {kind.made ? <MakeKey kinds={kind.made} onMake={(selection) => void store({ generate: { selection } })} /> : null}
          <FormGroup label={`${texts.settings.secretNew}: ${kind.label}`} fieldId={id}>
            {kind.isLong ? (
              <TextArea id={id} value={text} onChange={(_, value) => setText(value)} autoComplete="off" resizeOrientation="vertical" className="json" />
            ) : (
              <TextInput id={id} type="password" value={text} onChange={(_, value) => setText(value)} autoComplete="new-password" />
            )}
          </FormGroup>
          <div className="row">
            <Button variant="secondary" isDisabled={!text} onClick={() => void store(kind.body(text))}>
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

/** A key that the appliance makes; its public half is shown then. */
function MakeKey({ kinds, onMake }: { kinds: readonly string[]; onMake: (kind: string) => void }) {
  const [kind, setKind] = useState(kinds[0] ?? '');
  const id = useId();
  return (
    <FormGroup label={texts.settings.keyKind} fieldId={id}>
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
