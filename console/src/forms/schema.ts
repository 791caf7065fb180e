// Reads schemas the way forms need them. Pure.
import { type ApiDocument, type Schema, resolve } from '../api/document';
import { type Json, type Members, isMembers } from '../api/json';

export const ORDER = '@order';
const STORES = ['/api/configuration/passwords', '/api/configuration/private_keys', '/api/configuration/x509'];

export interface Variant {
  /** Value of the member that tells variants apart. */
  value: Json;
  schema: Schema;
}

export type Shape =
  | { kind: 'reference'; to: string; steps?: (string | null)[] }
  | { kind: 'secret'; to: string }
  | { kind: 'optional'; inner: Schema }
  | { kind: 'switch'; on: Schema; off: Schema }
  | { kind: 'variants'; by: string; variants: Variant[] }
  | { kind: 'object'; schema: Schema }
  | { kind: 'ordered'; entry: Schema }
  | { kind: 'map'; entry: Schema }
  | { kind: 'list'; item: Schema }
  | { kind: 'choice'; values: Json[] }
  | { kind: 'flag' }
  | { kind: 'number'; schema: Schema }
  | { kind: 'text'; schema: Schema }
  | { kind: 'right' }
  | { kind: 'fixed'; value: Json }
  | { kind: 'json' };

const isNull = (schema: Schema) => schema.type === 'null';

/** What kind of field a schema asks for. */
export function shapeOf(document: ApiDocument, given: Schema): Shape {
  const schema = resolve(document, given);
  const options = (schema.anyOf ?? schema.oneOf ?? []).map((one) => resolve(document, one));
  const { reference, steps, object: isRight } = schema['x-doorward'] ?? {};
  if (options.some(isNull)) {
    const left = options.filter((one) => !isNull(one));
    const { anyOf: _, oneOf: __, ...rest } = schema;
    return { kind: 'optional', inner: left.length === 1 && left[0] ? { ...rest, ...left[0] } : { ...rest, anyOf: left } };
  }
  if (reference) return STORES.includes(reference) ? { kind: 'secret', to: reference } : { kind: 'reference', to: reference, ...(steps ? { steps } : {}) };
  if (isRight) return { kind: 'right' };
  if (schema.const !== undefined) return { kind: 'fixed', value: schema.const };
  if (schema.enum) return schema.enum.length === 1 ? { kind: 'fixed', value: schema.enum[0] ?? null } : { kind: 'choice', values: schema.enum };
  if (options.length === 1 && options[0]) return shapeOf(document, { ...schema, anyOf: undefined, oneOf: undefined, ...options[0] });
  if (options.length) return shapeOfOptions(document, schema, options);
  if (schema['x-doorward']?.ordered) {
    return { kind: 'ordered', entry: typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {} };
  }
  if (schema.properties) return { kind: 'object', schema };
  if (typeof schema.additionalProperties === 'object') return { kind: 'map', entry: schema.additionalProperties };
  if (schema.items) return { kind: 'list', item: schema.items };
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== 'null') : schema.type;
  if (type === 'boolean') return { kind: 'flag' };
  if (type === 'integer' || type === 'number') return { kind: 'number', schema };
  if (type === 'string') return { kind: 'text', schema };
  return { kind: 'json' };
}

function fixedMember(document: ApiDocument, schema: Schema, name: string): Json | undefined {
  const member = schema.properties?.[name];
  const found = member ? resolve(document, member) : {};
  return found.const ?? (found.enum?.length === 1 ? found.enum[0] : undefined);
}

function shapeOfOptions(document: ApiDocument, schema: Schema, options: Schema[]): Shape {
  const [first] = options;
  for (const name of Object.keys(first?.properties ?? {})) {
    const values = options.map((one) => fixedMember(document, one, name));
    if (values.some((value) => value === undefined) || new Set(values).size !== values.length) continue;
    if (name === 'enabled' && values.length === 2) {
      const on = options[values.indexOf(true)];
      const off = options[values.indexOf(false)];
      if (on && off) return { kind: 'switch', on, off };
    }
    return { kind: 'variants', by: name, variants: options.map((one, index) => ({ value: values[index] ?? null, schema: one })) };
  }
  if (options.every((one) => one.type === 'string')) return { kind: 'text', schema: { ...first, ...schema } };
  return { kind: 'json' };
}

/** The value that a new field begins with. */
export function initial(document: ApiDocument, given: Schema): Json {
  const schema = resolve(document, given);
  if (schema.default !== undefined) return schema.default;
  const shape = shapeOf(document, schema);
  switch (shape.kind) {
    case 'optional':
    case 'reference':
    case 'secret':
      return null;
    case 'switch':
      return initialMembers(document, shape.off);
    case 'variants':
      return shape.variants[0] ? initial(document, shape.variants[0].schema) : {};
    case 'object':
      return initialMembers(document, shape.schema);
    case 'ordered':
      return { [ORDER]: [] };
    case 'map':
      return {};
    case 'list':
      return [];
    case 'choice':
      return shape.values[0] ?? null;
    case 'flag':
      return false;
    case 'number':
      return shape.schema.minimum ?? 0;
    case 'fixed':
      return shape.value;
    case 'text':
    case 'right':
      return '';
    case 'json':
      return null;
  }
}

function initialMembers(document: ApiDocument, schema: Schema): Members {
  const found: Members = {};
  const required = schema.required ?? [];
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const whole = resolve(document, member);
    if (!whole.readOnly && (required.includes(name) || whole.default !== undefined)) found[name] = initial(document, whole);
  }
  return found;
}

/** A key for a new entry of a map whose keys nobody reads. */
export const newId = () => crypto.randomUUID().slice(0, 8);

/** The name that people know a value by. */
export function nameOf(value: Json | undefined): string {
  if (isMembers(value)) {
    for (const member of ['name', 'title', 'hostname', 'address', 'value', 'path', 'group']) {
      const found = value[member];
      if (typeof found === 'string' && found) return found;
      if (isMembers(found)) return nameOf(found);
    }
    return '';
  }
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
