// A form for an order to the server that is no setting: made from the schema of its body, like those of settings.
import { ActionGroup, Alert, Button, Form, List, ListItem } from '@patternfly/react-core';
import { useMemo, useState } from 'react';

import { ApiError } from '../api/client';
import { type ApiDocument, type Schema, placeTitle, resolve } from '../api/document';
import { type Json, isMembers } from '../api/json';
import { useOrder } from '../api/queries';
import { Field, FormScope } from './Field';
import { initial } from './schema';

interface Props<T> {
  document: ApiDocument;
  method: 'POST' | 'PUT';
  /** The path as the description of the API has it, and where the order goes; the same unless it has a placeholder. */
  path: string;
  href?: string;
  /** What the form begins with, beside the defaults. */
  given?: Record<string, Json>;
  /** Members that the form does not show; they are sent as they are given. */
  without?: string[];
  submit: string;
  onDone: (answer: T) => void;
}

export function orderSchema(document: ApiDocument, method: string, path: string): Schema {
  return resolve(document, document.paths[path]?.[method.toLowerCase()]?.requestBody?.content?.['application/json']?.schema ?? {});
}

export function OrderForm<T>({ document, method, path, href = path, given, without = [], submit, onDone }: Props<T>) {
  const whole = useMemo(() => orderSchema(document, method, path), [document, method, path]);
  const shown = useMemo(
    () => ({ ...whole, properties: Object.fromEntries(Object.entries(whole.properties ?? {}).filter(([name]) => !without.includes(name))) }),
    [whole, without],
  );
  const begun = () => ({ ...(initial(document, whole) as Record<string, Json>), ...given });
  const [value, setValue] = useState<Json>(begun);
  const order = useOrder<T>();
  const error = order.error instanceof ApiError ? order.error : null;
  const problems = error?.problems ?? [];
  return (
    <FormScope document={document} problems={problems} isReadOnly={false}>
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          order.mutate(
            { method, path: href, body: isMembers(value) && given ? { ...value, ...pick(given, without) } : value },
            {
              onSuccess: (answer) => {
                setValue(begun());
                onDone(answer);
              },
            },
          );
        }}
      >
        <Refusal error={order.error} document={document} schema={whole} />
        <Field schema={shown} value={value} pointer="" title={submit} isRequired onChange={(next) => setValue(next ?? null)} />
        <ActionGroup>
          <Button type="submit" variant="primary" isLoading={order.isPending} isDisabled={order.isPending}>
            {submit}
          </Button>
        </ActionGroup>
      </Form>
    </FormScope>
  );
}

const pick = (given: Record<string, Json>, names: string[]) => Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));

/** Why an order was refused, with the titles of the places that the server names. */
export function Refusal({ error, document, schema }: { error: Error | null; document?: ApiDocument; schema?: Schema }) {
  if (!error) return null;
  const problems = error instanceof ApiError ? error.problems : [];
  return (
    <Alert isInline variant="danger" component="h3" title={error.message}>
      {problems.length ? (
        <List isPlain>
          {problems.map((one) => {
            const place = document && schema ? placeTitle(document, schema, one.pointer ?? '') : '';
            return <ListItem key={(one.pointer ?? '') + one.code}>{place ? `${place}: ${one.message}` : one.message}</ListItem>;
          })}
        </List>
      ) : null}
    </Alert>
  );
}
