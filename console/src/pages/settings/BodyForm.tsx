// The form of a body, made from its schema; the same as JSON is the other tab. The server says what is wrong, and where.
import { ActionGroup, Alert, Button, Form, List, ListItem, TextArea, ToggleGroup, ToggleGroupItem } from '@patternfly/react-core';
import { useEffect, useMemo, useRef, useState } from 'react';

import { ApiError, type Problem } from '../../api/client';
import { type ApiDocument, type Endpoint, bodySchema, placeTitle } from '../../api/document';
import type { Json } from '../../api/json';
import { useChange } from '../../api/queries';
import { useRights } from '../../api/rights';
import { type Making, idOf } from '../../forms/context';
import { Field, FormScope } from '../../forms/Field';
import { initial } from '../../forms/schema';
import { texts } from '../../texts';
import { Copies } from './Copies';

interface Props {
  document: ApiDocument;
  endpoint: Endpoint;
  path: string;
  method: 'POST' | 'PUT';
  body?: Json;
  /** ``key``: of an object that was added. */
  onDone?: (key: string) => void;
  onCancel?: () => void;
  prefix?: string;
  making?: Making;
}

const sameAs = (one: Json | undefined, other: Json | undefined) => JSON.stringify(one) === JSON.stringify(other);

export function BodyForm({ document, endpoint, path, method, body, onDone, onCancel, prefix, making }: Props) {
  const schema = useMemo(() => bodySchema(document, endpoint), [document, endpoint]);
  const begun = useMemo(() => (body === undefined ? (schema ? initial(document, schema) : null) : body), [body, document, schema]);
  const [value, setValue] = useState<Json>(begun);
  const [text, setText] = useState<string | null>(null);
  const [tab, setTab] = useState<'form' | 'json'>('form');
  const [isSaved, setSaved] = useState(false);
  const base = useRef(begun);
  const change = useChange();
  const mayWrite = useRights().mayWrite(endpoint.privilege, path);
  const isReadOnly = !endpoint.writable || !schema || !mayWrite;

  // What the server has now takes the place of what was there, unless something was typed.
  useEffect(() => {
    if (!sameAs(base.current, begun)) {
      setValue((now) => (sameAs(now, base.current) ? begun : now));
      base.current = begun;
    }
  }, [begun]);

  const error = change.error instanceof ApiError ? change.error : null;
  const problems: Problem[] = error?.problems ?? [];
  useJump(problems, prefix);

  function save() {
    let sent = value;
    if (tab === 'json' && text !== null) {
      try {
        sent = JSON.parse(text) as Json;
      } catch {
        return;
      }
      setValue(sent);
    }
    setSaved(false);
    change.mutate(
      { method, path, body: sent },
      {
        onSuccess: (answer) => {
          setSaved(true);
          base.current = sent;
          onDone?.((answer as { key?: string }).key ?? '');
        },
      },
    );
  }

  function show(next: 'form' | 'json') {
    if (next === 'form' && text !== null) setValue(JSON.parse(text) as Json);
    setText(null);
    setTab(next);
  }

  const shown = text ?? JSON.stringify(value, null, 2);
  const isJson = isValid(shown);
  return (
    <FormScope document={document} problems={problems} isReadOnly={isReadOnly} {...(prefix ? { prefix } : {})} {...(making ? { making } : {})}>
      <ToggleGroup aria-label={endpoint.title}>
        <ToggleGroupItem text={texts.settings.form} buttonId={`${prefix ?? 'as'}-form`} isSelected={tab === 'form'} isDisabled={!isJson} onChange={() => show('form')} />
        <ToggleGroupItem text={texts.settings.json} buttonId={`${prefix ?? 'as'}-json`} isSelected={tab === 'json'} onChange={() => show('json')} />
      </ToggleGroup>
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          // A form above another one is inside of it for React.
          event.stopPropagation();
          save();
        }}
      >
        {isReadOnly ? <Alert isInline isPlain variant="info" component="h3" title={endpoint.writable && !mayWrite ? texts.settings.mayOnlyRead : texts.settings.readOnly} /> : null}
        {error ? <Refused error={error} document={document} schema={schema} /> : null}
        {isSaved && !change.isPending && sameAs(value, base.current) ? (
          <Alert isInline isPlain variant="success" component="h3" title={texts.settings.saved} />
        ) : null}
        {tab === 'json' ? (
          <TextArea
            className="json"
            aria-label={texts.settings.json}
            value={shown}
            readOnlyVariant={isReadOnly ? 'default' : undefined}
            validated={isJson ? 'default' : 'error'}
            onChange={(_, given) => setText(given)}
            autoResize
            resizeOrientation="vertical"
          />
        ) : schema ? (
          <Field schema={schema} value={value} pointer="" title={endpoint.title} isRequired onChange={(given) => setValue(given ?? null)} />
        ) : (
          <pre className="value">{shown}</pre>
        )}
        {isReadOnly ? null : (
          <ActionGroup>
            <Button type="submit" variant="primary" isLoading={change.isPending} isDisabled={change.isPending || (tab === 'json' && !isJson)}>
              {texts.settings.save}
            </Button>
            <Button
              variant="link"
              isDisabled={sameAs(value, base.current) && text === null}
              onClick={() => {
                setValue(base.current);
                setText(null);
                change.reset();
              }}
            >
              {texts.settings.reset}
            </Button>
            {onCancel ? (
              <Button variant="link" onClick={onCancel}>
                {method === 'POST' ? texts.settings.cancel : texts.close}
              </Button>
            ) : null}
          </ActionGroup>
        )}
        <Copies method={method} path={path} body={value} />
      </Form>
    </FormScope>
  );
}

function isValid(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Go to the first field that the server refuses, or to the one that the address names. */
function useJump(problems: Problem[], prefix?: string) {
  const first = problems[0]?.pointer;
  useEffect(() => {
    const pointer = first ?? (location.hash ? decodeURIComponent(location.hash.slice(1)) : undefined);
    if (pointer === undefined || pointer === '') return;
    const field = document.getElementById(idOf(pointer, prefix));
    field?.scrollIntoView({ block: 'center' });
    field?.focus();
  }, [first, problems, prefix]);
}

function Refused({ error, document, schema }: { error: ApiError; document: ApiDocument; schema: ReturnType<typeof bodySchema> }) {
  return (
    <Alert isInline variant="danger" component="h3" title={error.problems.length ? texts.settings.wrong : error.message}>
      {error.problems.length ? (
        <List isPlain>
          {error.problems.map((one) => {
            const place = placeTitle(document, schema, one.pointer ?? '');
            return <ListItem key={(one.pointer ?? '') + one.code}>{place ? `${place}: ${one.message}` : one.message}</ListItem>;
          })}
        </List>
      ) : null}
    </Alert>
  );
}
