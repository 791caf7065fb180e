// Fields of one value: texts, numbers, choices, flags, and JSON where nothing else fits.
import { FormSelect, FormSelectOption, Switch, TextArea, TextInput } from '@patternfly/react-core';
import { useState } from 'react';

import { type Schema, titleOf } from '../api/document';
import type { Json } from '../api/json';
import { texts } from '../texts';
import { type FieldProps, useIdOf, useForm, useProblems } from './context';
import { Labelled } from './Labelled';

const LONG = 1000;

function shared(props: FieldProps, schema: Schema) {
  return {
    title: props.title,
    help: schema.description,
    pointer: props.pointer,
    isRequired: props.isRequired,
  };
}

const useValidated = (pointer: string) => (useProblems(pointer).length ? 'error' : 'default');

export function TextField({ schema, ...props }: FieldProps) {
  const idOf = useIdOf();
  const { isReadOnly } = useForm();
  const validated = useValidated(props.pointer);
  const text = typeof props.value === 'string' ? props.value : '';
  const common = {
    id: idOf(props.pointer),
    value: text,
    validated: validated as 'error' | 'default',
    isDisabled: isReadOnly || !!schema.readOnly,
    'aria-describedby': `${idOf(props.pointer)}-help`,
  };
  const isSecret = schema.format === 'password' || !!schema['x-doorward']?.secret;
  const isLong = !isSecret && ((schema.maxLength ?? 0) > LONG || text.includes('\n') || text.length > 120);
  const example = typeof schema.examples?.[0] === 'string' ? schema.examples[0] : undefined;
  return (
    <Labelled {...shared({ schema, ...props }, schema)}>
      {isLong ? (
        <TextArea {...common} onChange={(_, value) => props.onChange(value)} autoResize resizeOrientation="vertical" />
      ) : (
        <TextInput
          {...common}
          type={isSecret ? 'password' : 'text'}
          autoComplete="off"
          placeholder={example}
          onChange={(_, value) => props.onChange(value)}
        />
      )}
    </Labelled>
  );
}

export function NumberField({ schema, ...props }: FieldProps) {
  const idOf = useIdOf();
  const { isReadOnly } = useForm();
  const validated = useValidated(props.pointer);
  const [text, setText] = useState<string | null>(null);
  const shown = text ?? (props.value === undefined || props.value === null ? '' : String(props.value));
  return (
    <Labelled {...shared({ schema, ...props }, schema)}>
      <TextInput
        id={idOf(props.pointer)}
        type="text"
        inputMode="numeric"
        value={shown}
        validated={validated}
        isDisabled={isReadOnly || !!schema.readOnly}
        aria-describedby={`${idOf(props.pointer)}-help`}
        onChange={(_, given) => {
          setText(given);
          // What is no number goes to the server as it is, which says so at this place.
          props.onChange(/^-?\d+(\.\d+)?$/.test(given.trim()) ? Number(given) : given.trim());
        }}
        onBlur={() => setText(null)}
      />
    </Labelled>
  );
}

export function ChoiceField({ schema, values, ...props }: FieldProps & { values: Json[] }) {
  const idOf = useIdOf();
  const { document, isReadOnly } = useForm();
  const validated = useValidated(props.pointer);
  const index = values.findIndex((one) => one === props.value);
  return (
    <Labelled {...shared({ schema, ...props }, schema)}>
      <FormSelect
        id={idOf(props.pointer)}
        value={String(index)}
        validated={validated}
        isDisabled={isReadOnly || !!schema.readOnly}
        onChange={(_, given) => props.onChange(values[Number(given)] ?? null)}
      >
        {index < 0 ? <FormSelectOption value="-1" label={texts.settings.choose} isDisabled /> : null}
        {values.map((one, at) => (
          <FormSelectOption key={String(one)} value={String(at)} label={typeof one === 'string' ? titleOf(document, one) : String(one)} />
        ))}
      </FormSelect>
    </Labelled>
  );
}

export function FlagField({ schema, ...props }: FieldProps) {
  const idOf = useIdOf();
  const { isReadOnly } = useForm();
  return (
    <Labelled {...shared({ schema, ...props, title: '' }, schema)}>
      <Switch
        id={idOf(props.pointer)}
        label={props.title}
        isChecked={props.value === true}
        isDisabled={isReadOnly || !!schema.readOnly}
        onChange={(_, checked) => props.onChange(checked)}
      />
    </Labelled>
  );
}

export function JsonField({ schema, ...props }: FieldProps) {
  const idOf = useIdOf();
  const { isReadOnly } = useForm();
  const [text, setText] = useState(() => JSON.stringify(props.value ?? null, null, 2));
  const [isWrong, setWrong] = useState(false);
  return (
    <Labelled {...shared({ schema, ...props }, schema)} help={isWrong ? texts.settings.badJson : schema.description}>
      <TextArea
        id={idOf(props.pointer)}
        className="json"
        value={text}
        isDisabled={isReadOnly}
        validated={isWrong ? 'error' : 'default'}
        autoResize
        resizeOrientation="vertical"
        onChange={(_, given) => {
          setText(given);
          try {
            props.onChange(JSON.parse(given) as Json);
            setWrong(false);
          } catch {
            setWrong(true);
          }
        }}
      />
    </Labelled>
  );
}
