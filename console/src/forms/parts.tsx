// A reference to a part of a setting, such as an address of a network interface: picked by what it is.
import { FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useQueries } from '@tanstack/react-query';

import { call } from '../api/client';
import { childrenOf } from '../api/document';
import { type Json, isMembers } from '../api/json';
import type { Answer } from '../api/queries';
import { texts } from '../texts';
import { type FieldProps, useForm, useIdOf, useProblems } from './context';
import { Labelled } from './Labelled';
import { keyOf } from './references';
import { ORDER, nameOf } from './schema';

interface Part {
  steps: string[];
  /** Names of what is on the way, and what it is. */
  names: string[];
}

/** The parts of a body that some steps lead to; null stands for any entry. */
export function partsOf(body: Json | undefined, steps: (string | null)[], names: string[] = []): Part[] {
  const [first, ...rest] = steps;
  if (first === undefined) return [{ steps: [], names }];
  if (!isMembers(body)) return [];
  const taken = first === null ? Object.keys(body).filter((one) => one !== ORDER) : [first];
  return taken.flatMap((one) => {
    const name = first === null ? nameOf(body[one]) : '';
    return partsOf(body[one], rest, name ? [...names, name] : names).map((part) => ({ ...part, steps: [one, ...part.steps] }));
  });
}

export function PartField({ to, steps, ...props }: FieldProps & { to: string; steps: (string | null)[] }) {
  const idOf = useIdOf();
  const { document, isReadOnly } = useForm();
  const isWrong = useProblems(props.pointer).length > 0;
  const wholes = childrenOf(document, to);
  const answers = useQueries({
    queries: wholes.map(({ path }) => ({ queryKey: ['configuration', path], queryFn: () => call<Answer<Json>>('GET', path) })),
  });
  const options = wholes.flatMap(({ path, title }, index) =>
    partsOf(answers[index]?.data?.body, steps).map((part) => ({
      key: [path.slice(to.length + 1), ...part.steps].join('.'),
      label: [...part.names].reverse().concat(title).join(' – '),
    })),
  );
  const key = keyOf(props.value);
  return (
    <Labelled title={props.title} pointer={props.pointer} isRequired={props.isRequired} help={props.schema.description}>
      <FormSelect
        id={idOf(props.pointer)}
        value={key}
        isDisabled={isReadOnly}
        validated={isWrong ? 'error' : 'default'}
        onChange={(_, value) => props.onChange(value === '' ? null : value)}
      >
        <FormSelectOption value="" label={props.isRequired ? texts.settings.choose : texts.settings.none} />
        {key && !options.some((one) => one.key === key) ? <FormSelectOption value={key} label={key} /> : null}
        {options.map((one) => (
          <FormSelectOption key={one.key} value={one.key} label={one.label} />
        ))}
      </FormSelect>
    </Labelled>
  );
}
