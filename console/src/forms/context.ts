// What all fields of a form share.
import { type ComponentType, createContext, useContext } from 'react';

import type { Problem } from '../api/client';
import type { ApiDocument, Endpoint, Schema } from '../api/document';
import type { Json } from '../api/json';

/** A form for another object, above the one that wants to refer to it. */
export type Making = ComponentType<{ document: ApiDocument; endpoint: Endpoint; onMade: (key: string) => void; onCancel: () => void }>;

export interface FormShared {
  document: ApiDocument;
  problems: Problem[];
  isReadOnly: boolean;
  /** What the ids of its fields begin with, where two forms are on a page. */
  prefix?: string;
  making?: Making;
}

/** With what fields of several members are made of: a field for any schema. */
interface FormParts extends FormShared {
  Field: ComponentType<FieldProps>;
}

export interface FieldProps {
  schema: Schema;
  value: Json | undefined;
  /** undefined takes the member away. */
  onChange: (value: Json | undefined) => void;
  /** Where the value stands in the body (RFC 6901). */
  pointer: string;
  title: string;
  isRequired?: boolean;
}

export const FormContext = createContext<FormParts | null>(null);

export function useForm(): FormParts {
  const shared = useContext(FormContext);
  if (!shared) throw new Error('A field stands outside of a form.');
  return shared;
}

/** What is wrong with exactly this place. */
export function useProblems(pointer: string): Problem[] {
  return useForm().problems.filter((one) => (one.pointer ?? '') === pointer);
}

export const idOf = (pointer: string, prefix = 'field') => `${prefix}${pointer.replaceAll(/[^A-Za-z0-9_-]/g, '.') || '.'}`;

/** The id of a field of this form, by its place. */
export function useIdOf(): (pointer: string) => string {
  const { prefix } = useForm();
  return (pointer) => idOf(pointer, prefix);
}
