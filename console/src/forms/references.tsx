// A reference to another object: picked by its name, or made in place.
import { Button, FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useState } from 'react';

import { endpointAt } from '../api/document';
import { type Json, isMembers } from '../api/json';
import { useNode } from '../api/queries';
import { useRights } from '../api/rights';
import { texts } from '../texts';
import { type FieldProps, useIdOf, useForm, useProblems } from './context';
import { Labelled } from './Labelled';
import { TextField } from './scalars';
import { nameOf } from './schema';

const KEY_OF = 'Key of an object of';

/** The key that a reference holds, written bare or as it is shown. */
export const keyOf = (value: Json | undefined): string =>
  typeof value === 'string' ? value : isMembers(value) && typeof value.key === 'string' ? value.key : '';

export function ReferenceField({ to, ...props }: FieldProps & { to: string }) {
  const idOf = useIdOf();
  const { document, isReadOnly, making: Making } = useForm();
  const [isMaking, setMaking] = useState(false);
  const rights = useRights();
  const endpoint = endpointAt(document, to);
  const isCollection = endpoint?.kind === 'collection';
  const { data } = useNode(to, isCollection);
  const problems = useProblems(props.pointer);
  const key = keyOf(props.value);
  // That it is the key of something is what the field is for.
  const help = props.schema.description?.startsWith(KEY_OF) ? undefined : props.schema.description;
  if (!isCollection) {
    return <TextField {...props} value={key} onChange={(value) => props.onChange(value === '' ? null : value)} />;
  }
  const items = data?.items ?? [];
  const mayMake = !isReadOnly && !!Making && endpoint.writable && rights.mayWrite(endpoint.privilege, to);
  return (
    <Labelled title={props.title} help={help} pointer={props.pointer} isRequired={props.isRequired}>
      <div className="row">
        <div className="grows">
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
        </div>
        {mayMake ? (
          <Button variant="secondary" aria-label={`${texts.settings.make}: ${props.title}`} onClick={() => setMaking(true)}>
            {texts.settings.make}
          </Button>
        ) : null}
      </div>
      {isMaking && endpoint && Making ? (
        <Making
          document={document}
          endpoint={endpoint}
          onCancel={() => setMaking(false)}
          onMade={(made) => {
            props.onChange(made);
            setMaking(false);
          }}
        />
      ) : null}
    </Labelled>
  );
}
