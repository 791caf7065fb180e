// Chooses the field for a schema, and is what forms begin with.
import type { ReactNode } from 'react';

import { resolve } from '../api/document';
import { type FieldProps, FormContext, type FormShared, useForm } from './context';
import { ListField, MapField, OrderedField } from './entries';
import { ObjectField, OptionalField, SwitchField, VariantsField } from './objects';
import { ReferenceField } from './references';
import { PartField } from './parts';
import { RightField } from './rights';
import { ChoiceField, FlagField, JsonField, NumberField, TextField } from './scalars';
import { shapeOf } from './schema';
import { SecretField } from './secrets';

/** A form: what stands in it may use its fields. */
export function FormScope({ children, ...shared }: FormShared & { children: ReactNode }) {
  return <FormContext.Provider value={{ ...shared, Field }}>{children}</FormContext.Provider>;
}

export function Field(props: FieldProps) {
  const { document } = useForm();
  const schema = resolve(document, props.schema);
  const shape = shapeOf(document, schema);
  const given = { ...props, schema };
  switch (shape.kind) {
    case 'fixed':
      return null;
    case 'optional':
      return <OptionalField {...given} inner={shape.inner} />;
    case 'reference':
      return shape.steps ? <PartField {...given} to={shape.to} steps={shape.steps} /> : <ReferenceField {...given} to={shape.to} />;
    case 'secret':
      return <SecretField {...given} to={shape.to} />;
    case 'switch':
      return <SwitchField {...given} on={shape.on} off={shape.off} />;
    case 'variants':
      return <VariantsField {...given} by={shape.by} variants={shape.variants} />;
    case 'object':
      return <ObjectField {...given} />;
    case 'ordered':
      return <OrderedField {...given} entry={shape.entry} />;
    case 'map':
      return <MapField {...given} entry={shape.entry} />;
    case 'list':
      return <ListField {...given} item={shape.item} />;
    case 'choice':
      return <ChoiceField {...given} values={shape.values} />;
    case 'flag':
      return <FlagField {...given} />;
    case 'number':
      return <NumberField {...given} schema={shape.schema} />;
    case 'text':
      return <TextField {...given} schema={shape.schema} />;
    case 'right':
      return <RightField {...given} />;
    case 'json':
      return <JsonField {...given} />;
  }
}
