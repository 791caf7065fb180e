// What all fields of a form share.
import { createContext, useContext } from 'react';

import type { Problem } from '../api/client';
import type { ApiDocument, Json, Schema } from '../api/document';

export interface FormShared {
  document: ApiDocument;
  problems: Problem[];
  isReadOnly: boolean;
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

export const FormContext = createContext<FormShared | null>(null);

export function useForm(): FormShared {
  const shared = useContext(FormContext);
  if (!shared) throw new Error('A field stands outside of a form.');
  return shared;
}

/** What is wrong with exactly this place. */
export function useProblems(pointer: string): Problem[] {
  return useForm().problems.filter((one) => (one.pointer ?? '') === pointer);
}

export const idOf = (pointer: string) => `field${pointer.replaceAll(/[^A-Za-z0-9_-]/g, '.') || '.'}`;
