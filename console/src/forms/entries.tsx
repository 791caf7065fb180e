// Fields of many entries: lists, maps, and maps whose order counts.
import { Button, Flex, FlexItem, TextInput } from '@patternfly/react-core';
import { useState } from 'react';

import { type Schema, objectTitle, resolve } from '../api/document';
import { type Json, isMembers, step } from '../api/json';
import { texts } from '../texts';
import { type FieldProps, useForm } from './context';
import { Group } from './objects';
import { ORDER, initial, nameOf, newId, shapeOf } from './schema';

interface Entry {
  id: string;
  step: string | number;
  value: Json;
}

interface Props {
  entries: Entry[];
  schema: Schema;
  pointer: string;
  canMove: boolean;
  onValue: (index: number, value: Json) => void;
  onRemove: (index: number) => void;
  onMove: (index: number, by: -1 | 1) => void;
}

function Entries({ entries, schema, pointer, canMove, onValue, onRemove, onMove }: Props) {
  const { isReadOnly, document, Field } = useForm();
  const whole = resolve(document, schema);
  const isRight = shapeOf(document, whole).kind === 'right';
  return (
    <ol className="entries">
      {entries.map((entry, index) => {
        const name = nameOf(entry.value);
        const title = (isRight ? objectTitle(document, name) : name) || `${index + 1}.`;
        const about = (what: string) => `${what}: ${title}`;
        return (
          <li key={entry.id}>
            <Flex alignItems={{ default: 'alignItemsFlexStart' }} flexWrap={{ default: 'nowrap' }} gap={{ default: 'gapSm' }}>
              <FlexItem grow={{ default: 'grow' }} className="entry">
                <Field
                  schema={whole}
                  value={entry.value}
                  pointer={`${pointer}/${step(entry.step)}`}
                  title={title}
                  onChange={(value) => onValue(index, value ?? null)}
                />
              </FlexItem>
              {isReadOnly ? null : (
                <FlexItem className="tools">
                  {canMove ? (
                    <>
                      <Button variant="plain" size="sm" aria-label={about(texts.settings.up)} isDisabled={index === 0} onClick={() => onMove(index, -1)}>
                        ↑
                      </Button>
                      <Button variant="plain" size="sm" aria-label={about(texts.settings.down)} isDisabled={index === entries.length - 1} onClick={() => onMove(index, 1)}>
                        ↓
                      </Button>
                    </>
                  ) : null}
                  <Button variant="plain" size="sm" aria-label={about(texts.settings.removeEntry)} onClick={() => onRemove(index)}>
                    ✕
                  </Button>
                </FlexItem>
              )}
            </Flex>
          </li>
        );
      })}
    </ol>
  );
}

function moved<T>(values: T[], index: number, by: -1 | 1): T[] {
  const found = [...values];
  const [one] = found.splice(index, 1);
  if (one !== undefined) found.splice(index + by, 0, one);
  return found;
}

function AddButton({ onClick, title, isDisabled }: { onClick: () => void; title: string; isDisabled?: boolean }) {
  const { isReadOnly } = useForm();
  if (isReadOnly) return null;
  return (
    <div>
      <Button variant="secondary" size="sm" onClick={onClick} isDisabled={isDisabled ?? false} aria-label={`${texts.settings.addEntry}: ${title}`}>
        {texts.settings.addEntry}
      </Button>
    </div>
  );
}

export function ListField({ item, title, ...props }: FieldProps & { item: Schema }) {
  const { document } = useForm();
  const values = Array.isArray(props.value) ? props.value : [];
  // What tells entries apart while they move; the values themselves may be equal.
  const [ids, setIds] = useState<string[]>([]);
  const known = values.map((_, index) => ids[index] ?? `entry-${index}`);
  const set = (next: Json[], nextIds: string[]) => {
    setIds(nextIds);
    props.onChange(next);
  };
  return (
    <Group title={title} help={props.schema.description} pointer={props.pointer}>
      <Entries
        entries={values.map((value, index) => ({ id: known[index] ?? '', step: index, value }))}
        schema={item}
        pointer={props.pointer}
        canMove={values.length > 1}
        onValue={(index, value) => set(values.with(index, value), known)}
        onRemove={(index) => set(values.toSpliced(index, 1), known.toSpliced(index, 1))}
        onMove={(index, by) => set(moved(values, index, by), moved(known, index, by))}
      />
      <AddButton title={title} onClick={() => set([...values, initial(document, item)], [...known, newId()])} />
    </Group>
  );
}

export function OrderedField({ entry, title, ...props }: FieldProps & { entry: Schema }) {
  const { document } = useForm();
  const members = isMembers(props.value) ? props.value : {};
  const order = Array.isArray(members[ORDER]) ? members[ORDER].map(String) : [];
  const set = (next: string[], more: Record<string, Json> = {}) => {
    const all = { ...members, ...more };
    props.onChange({ [ORDER]: next, ...Object.fromEntries(next.map((id) => [id, all[id] ?? null])) });
  };
  return (
    <Group title={title} help={props.schema.description} pointer={props.pointer}>
      <Entries
        entries={order.map((id) => ({ id, step: id, value: members[id] ?? null }))}
        schema={entry}
        pointer={props.pointer}
        canMove={order.length > 1}
        onValue={(index, value) => set(order, { [order[index] ?? '']: value })}
        onRemove={(index) => set(order.toSpliced(index, 1))}
        onMove={(index, by) => set(moved(order, index, by))}
      />
      <AddButton
        title={title}
        onClick={() => {
          const id = newId();
          set([...order, id], { [id]: initial(document, entry) });
        }}
      />
    </Group>
  );
}

export function MapField({ entry, title, ...props }: FieldProps & { entry: Schema }) {
  const { document, isReadOnly } = useForm();
  const [key, setKey] = useState('');
  const members = isMembers(props.value) ? props.value : {};
  const keys = Object.keys(members);
  return (
    <Group title={title} help={props.schema.description} pointer={props.pointer}>
      <Entries
        entries={keys.map((id) => ({ id, step: id, value: members[id] ?? null }))}
        schema={entry}
        pointer={props.pointer}
        canMove={false}
        onValue={(index, value) => props.onChange({ ...members, [keys[index] ?? '']: value })}
        onRemove={(index) => props.onChange(Object.fromEntries(Object.entries(members).filter((_, at) => at !== index)))}
        onMove={() => undefined}
      />
      {isReadOnly ? null : (
        <TextInput aria-label={`${texts.settings.keyOfEntry}: ${title}`} placeholder={texts.settings.keyOfEntry} value={key} onChange={(_, value) => setKey(value)} />
      )}
      <AddButton
        title={title}
        isDisabled={!key || key in members}
        onClick={() => {
          props.onChange({ ...members, [key]: initial(document, entry) });
          setKey('');
        }}
      />
    </Group>
  );
}
