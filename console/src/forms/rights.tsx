// What a right is for: an object of rights, or an endpoint with everything below it, each by its title.
import { FormSelect, FormSelectOption, FormSelectOptionGroup } from '@patternfly/react-core';

import { ROOT, isUseful, objectTitle, endpointAt, trail } from '../api/document';
import { texts } from '../texts';
import { type FieldProps, useForm, useIdOf, useProblems } from './context';
import { Labelled } from './Labelled';

export function RightField(props: FieldProps) {
  const idOf = useIdOf();
  const { document, isReadOnly } = useForm();
  const isWrong = useProblems(props.pointer).length > 0;
  const value = typeof props.value === 'string' ? props.value : '';
  const objects = Object.keys(document['x-doorward'].objects);
  const paths = Object.keys(document['x-doorward'].endpoints).filter((path) => {
    const endpoint = path.startsWith(`${ROOT}/`) ? endpointAt(document, path) : null;
    return endpoint !== null && (path === value || isUseful(document, endpoint));
  });
  return (
    <Labelled title={props.title} pointer={props.pointer} isRequired={props.isRequired} help={props.schema.description}>
      <FormSelect
        id={idOf(props.pointer)}
        aria-label={props.title}
        value={value}
        isDisabled={isReadOnly}
        validated={isWrong ? 'error' : 'default'}
        onChange={(_, given) => props.onChange(given)}
      >
        {value === '' ? <FormSelectOption value="" label={texts.settings.choose} isDisabled /> : null}
        {value && !objects.includes(value) && !paths.includes(value) ? <FormSelectOption value={value} label={value} /> : null}
        <FormSelectOptionGroup label={texts.settings.areas}>
          {objects.map((one) => (
            <FormSelectOption key={one} value={one} label={objectTitle(document, one)} />
          ))}
        </FormSelectOptionGroup>
        <FormSelectOptionGroup label={texts.settings.below}>
          {paths.map((one) => (
            <FormSelectOption key={one} value={one} label={trail(document, one).join(' › ')} />
          ))}
        </FormSelectOptionGroup>
      </FormSelect>
    </Labelled>
  );
}
