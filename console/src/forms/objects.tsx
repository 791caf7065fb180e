// Fields of several members: objects, switches, variants, and what may be left out.
import { Checkbox, FormFieldGroup, FormFieldGroupHeader, FormSelect, FormSelectOption, Switch } from '@patternfly/react-core';

import { type ApiDocument, type Schema, memberTitle, resolve, titleOf } from '../api/document';
import { type Members, isMembers, step } from '../api/json';
import { texts } from '../texts';
import { type FieldProps, useIdOf, useForm } from './context';
import { Hints, Labelled, plain } from './Labelled';
import { type Variant, initial, shapeOf } from './schema';

export function Group({ title, help, pointer, children }: { title: string; help?: string | undefined; pointer: string; children: React.ReactNode }) {
  const idOf = useIdOf();
  return (
    <FormFieldGroup
      header={
        <FormFieldGroupHeader titleText={{ text: title, id: `${idOf(pointer)}-title` }} titleDescription={help && plain(help)} />
      }
    >
      <Hints pointer={pointer} />
      {children}
    </FormFieldGroup>
  );
}

/** The members of an object one below the other, without a frame of their own. */
export function MemberFields({ schema, value, onChange, pointer, without }: Omit<FieldProps, 'title'> & { without?: string }) {
  const { document, Field } = useForm();
  const members: Members = isMembers(value) ? value : {};
  return (
    <>
      {Object.entries(schema.properties ?? {}).map(([name, given]) => {
        if (name === without) return null;
        const member = resolve(document, given);
        return (
          <Field
            key={name}
            schema={member}
            value={members[name]}
            pointer={`${pointer}/${step(name)}`}
            title={memberTitle(document, given, name)}
            isRequired={!!schema.required?.includes(name)}
            onChange={(found) => {
              const { [name]: _, ...rest } = members;
              onChange(found === undefined ? rest : { ...members, [name]: found });
            }}
          />
        );
      })}
    </>
  );
}

export function ObjectField({ title, ...props }: FieldProps) {
  if (props.pointer === '') {
    return (
      <>
        <Hints pointer="" />
        <MemberFields {...props} />
      </>
    );
  }
  return (
    <Group title={title} help={props.schema.description} pointer={props.pointer}>
      <MemberFields {...props} />
    </Group>
  );
}

export function SwitchField({ on, off, title, ...props }: FieldProps & { on: Schema; off: Schema }) {
  const idOf = useIdOf();
  const { document, isReadOnly } = useForm();
  const isOn = isMembers(props.value) && props.value.enabled === true;
  return (
    <Group title={title} help={props.schema.description} pointer={props.pointer}>
      <Switch
        id={idOf(`${props.pointer}/enabled`)}
        label={texts.settings.isSet(title)}
        isChecked={isOn}
        isDisabled={isReadOnly}
        onChange={(_, checked) => {
          const fresh = initial(document, { ...(checked ? on : off), default: undefined });
          props.onChange(isMembers(fresh) ? { ...fresh, enabled: checked } : { enabled: checked });
        }}
      />
      <Hints pointer={`${props.pointer}/enabled`} />
      {isOn ? <MemberFields {...props} schema={on} without="enabled" /> : null}
    </Group>
  );
}

export function VariantsField({ by, variants, title, ...props }: FieldProps & { by: string; variants: Variant[] }) {
  const idOf = useIdOf();
  const { document, isReadOnly } = useForm();
  const members: Members = isMembers(props.value) ? props.value : {};
  const index = variants.findIndex((one) => one.value === members[by]);
  const chosen = variants[index];
  const id = `${props.pointer}/${by}`;
  return (
    <Group title={title} help={props.schema.description} pointer={props.pointer}>
      <Labelled title={texts.settings.kind} help={described(document, chosen, by)} pointer={id} isRequired>
        <FormSelect
          id={idOf(id)}
          value={String(index)}
          isDisabled={isReadOnly}
          onChange={(_, given) => {
            const next = variants[Number(given)];
            if (!next) return;
            const fresh = initial(document, next.schema);
            const kept = Object.fromEntries(
              Object.entries(members).filter(([name]) => name !== by && name in (next.schema.properties ?? {})),
            );
            props.onChange({ ...(isMembers(fresh) ? fresh : {}), ...kept, [by]: next.value });
          }}
        >
          {index < 0 ? <FormSelectOption value="-1" label={texts.settings.choose} isDisabled /> : null}
          {variants.map((one, at) => (
            <FormSelectOption key={String(one.value)} value={String(at)} label={label(document, one)} />
          ))}
        </FormSelect>
      </Labelled>
      {chosen ? <MemberFields {...props} schema={chosen.schema} without={by} /> : null}
    </Group>
  );
}

const label = (document: ApiDocument, one: Variant) => titleOf(document, String(one.value));

function described(document: ApiDocument, variant: Variant | undefined, by: string): string | undefined {
  const member = variant?.schema.properties?.[by];
  return member ? resolve(document, member).description : undefined;
}

export function OptionalField({ inner, ...props }: FieldProps & { inner: Schema }) {
  const idOf = useIdOf();
  const { document, isReadOnly, Field } = useForm();
  const shape = shapeOf(document, inner);
  if (shape.kind === 'reference' || shape.kind === 'secret') {
    return <Field {...props} schema={inner} isRequired={false} />;
  }
  const isSet = props.value !== null && props.value !== undefined;
  return (
    <div>
      <Checkbox
        id={`${idOf(props.pointer)}-set`}
        label={texts.settings.isSet(props.title)}
        description={isSet || !props.schema.description ? undefined : plain(props.schema.description)}
        isChecked={isSet}
        isDisabled={isReadOnly}
        onChange={(_, checked) => props.onChange(checked ? initial(document, { ...inner, default: undefined }) : null)}
      />
      {isSet ? <Field {...props} schema={inner} /> : <Hints pointer={props.pointer} />}
    </div>
  );
}
