// A reference to another object: picked by its name.
import { FormSelect, FormSelectOption } from '@patternfly/react-core';

import { type Json, endpointAt } from '../api/document';
import { useNode } from '../api/queries';
import { texts } from '../texts';
import { type FieldProps, idOf, useForm, useProblems } from './context';
import { Labelled } from './Labelled';
import { TextField } from './scalars';
import { isMembers, nameOf } from './schema';

/** The key that a reference holds, written bare or as it is shown. */
export const keyOf = (value: Json | undefined): string =>
  typeof value === 'string' ? value : isMembers(value) && typeof value.key === 'string' ? value.key : '';

export function ReferenceField({ to, ...props }: FieldProps & { to: string }) {
  const { document, isReadOnly } = useForm();
  const endpoint = endpointAt(document, to);
  const isCollection = endpoint?.kind === 'collection';
  const { data } = useNode(to, isCollection);
  const problems = useProblems(props.pointer);
  const key = keyOf(props.value);
  if (!isCollection) {
    return <TextField {...props} value={key} onChange={(value) => props.onChange(value === '' ? null : value)} />;
  }
  const items = data?.items ?? [];
  return (
    <Labelled title={props.title} help={props.schema.description} pointer={props.pointer} isRequired={props.isRequired}>
      <FormSelect
        id={idOf(props.pointer)}
        value={key}
        isDisabled={isReadOnly}
        validated={problems.length ? 'error' : 'default'}
        onChange={(_, value) => props.onChange(value === '' ? null : value)}
      >
        <FormSelectOption value="" label={props.isRequired ? texts.settings.choose : texts.settings.none} />
        {items.map((item) => (
          <FormSelectOption key={item.key} value={item.key} label={nameOf(item.body) || item.key} />
        ))}
        {key && !items.some((item) => item.key === key) ? <FormSelectOption value={key} label={key} /> : null}
      </FormSelect>
    </Labelled>
  );
}
