// A reference to a secret: what is there is never shown; a new one is typed, or pasted, and stored by itself.
import {
  Button, FormFieldGroup, FormFieldGroupHeader, FormGroup, HelperText, HelperTextItem, TextArea, TextInput,
} from '@patternfly/react-core';
import { useId, useState } from 'react';

import { ApiError, call } from '../api/client';
import { isMembers } from '../api/json';
import { useNode } from '../api/queries';
import { Secret } from '../display/Secret';
import { texts } from '../texts';
import { type FieldProps, useIdOf, useForm } from './context';
import { Hints, plain } from './Labelled';
import { MakeCertificate, MakeKey, PickCertificate } from './making';
import { keyOf } from './references';

interface SecretKind {
  label: string;
  /** What is said while there is none. */
  none: string;
  isLong: boolean;
  body: (text: string) => Record<string, string>;
  /** Kinds of keys that the appliance makes itself, so that they never leave it. */
  made?: readonly string[];
  /** Whether several places may refer to one. */
  isShared?: boolean;
}

const KINDS: Record<string, SecretKind> = {
  passwords: { label: texts.settings.secretKind.password, none: texts.settings.secretNone.password, isLong: false, body: (text) => ({ plain: text }) },
  private_keys: {
    label: texts.settings.secretKind.key,
    none: texts.settings.secretNone.key,
    isLong: true,
    body: (text) => ({ private_key: text }),
    made: ['ed25519', 'ecdsa-p256', 'rsa-4096'],
  },
  x509: {
    label: texts.settings.secretKind.certificate,
    none: texts.settings.secretNone.certificate,
    isLong: true,
    made: ['ecdsa-p256', 'rsa-4096'],
    isShared: true,
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
  const { document, isReadOnly } = useForm();
  const [text, setText] = useState('');
  const [told, setTold] = useState('');
  const [isWrong, setWrong] = useState(false);
  const [isOpen, setOpen] = useState(false);
  const [publicKey, setPublicKey] = useState('');
  const id = useId();
  const kind = KINDS[to.split('/').at(-1) ?? ''] ?? KINDS.passwords;
  if (!kind) return null;
  const held = keyOf(props.value);
  const has = held !== '';

  function take(key: string, said: string) {
    props.onChange(key);
    setText('');
    setOpen(false);
    setTold(said);
    setWrong(false);
  }

  async function store(body: object) {
    try {
      await call('POST', '/api/transaction');
      const made = await call<{ body?: { public_key?: string }; key: string }>('POST', to, body);
      setPublicKey(made.body?.public_key ?? '');
      take(made.key, texts.settings.secretStored);
    } catch (error) {
      const problems = error instanceof ApiError ? error.problems.map((one) => one.message) : [];
      setTold(problems.join(' ') || String((error as Error).message));
      setWrong(true);
    }
  }

  return (
    <FormFieldGroup
      header={
        <FormFieldGroupHeader
          titleText={{ text: props.title, id: `${idOf(props.pointer)}-title` }}
          titleDescription={props.schema.description && plain(props.schema.description)}
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
        <HelperTextItem>{has ? <Kept to={to} held={held} /> : kind.none}</HelperTextItem>
        {told ? <HelperTextItem variant={isWrong ? 'error' : 'default'}>{told}</HelperTextItem> : null}
      </HelperText>
      <Hints pointer={props.pointer} />
      {publicKey ? (
        <FormGroup label={texts.settings.publicKey} role="group">
          <Secret title={texts.settings.publicKey}>{publicKey}</Secret>
        </FormGroup>
      ) : null}
      {isOpen ? (
        <>
          {kind.isShared ? <PickCertificate document={document} held={held} onPick={(key) => take(key, texts.settings.secretPicked)} /> : null}
          {kind.made && kind.isShared ? <MakeCertificate kinds={kind.made} onMake={(order) => void store(order)} /> : null}
          {kind.made && !kind.isShared ? (
            <MakeKey kinds={kind.made} title={texts.settings.keyKind} onMake={(selection) => void store({ generate: { selection } })} />
          ) : null}
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

/** What is known of a secret that is kept, beside that it is. */
function Kept({ to, held }: { to: string; held: string }) {
  const isPublic = !to.endsWith('/passwords');
  const { data } = useNode(`${to}/${held}`, isPublic);
  const body = isMembers(data?.body) ? data.body : {};
  if (typeof body.subject === 'string') return <>{texts.settings.certificateKept(body.subject, String(body.not_after).slice(0, 10), body.has_private_key === true)}</>;
  if (typeof body.fingerprint === 'string') return <>{texts.settings.keyKept(String(body.type), body.fingerprint)}</>;
  return <>{texts.settings.secretKept}</>;
}
