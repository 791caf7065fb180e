// A field with its label, its help, and what is wrong with it.
import { FormGroup, FormHelperText, HelperText, HelperTextItem } from '@patternfly/react-core';
import type { ReactNode } from 'react';

import { useIdOf, useProblems } from './context';

interface Props {
  title: string;
  help?: string | undefined;
  pointer: string;
  isRequired?: boolean | undefined;
  children: ReactNode;
}

/** Help as people read it: without the marks of the manual, and without the default, which is what a form begins with. */
export const plain = (help: string) => help.replace(/\s*Default: `[^`]*`\.$/, '').replaceAll('`', '');

export function Labelled({ title, help, pointer, isRequired, children }: Props) {
  const idOf = useIdOf();
  return (
    <FormGroup label={title} fieldId={idOf(pointer)} isRequired={isRequired ?? false}>
      {children}
      <Hints pointer={pointer} help={help} />
    </FormGroup>
  );
}

export function Hints({ pointer, help }: { pointer: string; help?: string | undefined }) {
  const idOf = useIdOf();
  const problems = useProblems(pointer);
  if (!help && !problems.length) return null;
  return (
    <FormHelperText>
      <HelperText id={`${idOf(pointer)}-help`}>
        {problems.map((one) => (
          <HelperTextItem key={one.code + one.message} variant="error">
            {one.message}
          </HelperTextItem>
        ))}
        {help ? <HelperTextItem>{plain(help)}</HelperTextItem> : null}
      </HelperText>
    </FormHelperText>
  );
}
