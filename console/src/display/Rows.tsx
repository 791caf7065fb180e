// A list as a table: each column says its title once, for the head of a wide screen and beside each value on a narrow one.
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import type { ReactNode } from 'react';

import { texts } from '../texts';
import { Empty } from './Shown';

export interface Column<T> {
  title: string;
  cell: (row: T, index: number) => ReactNode;
  className?: string;
}

interface Props<T> {
  /** What the list is of, for those who hear it. */
  label: string;
  rows: readonly T[];
  keyOf: (row: T) => string;
  columns: readonly Column<T>[];
  /** What can be done with a row, as its last column. */
  actions?: ((row: T, index: number) => ReactNode) | undefined;
  /** What is shown instead where there is nothing; without it the head alone. */
  empty?: { title: string; text: string };
}

export function Rows<T>({ label, rows, keyOf, columns, actions, empty }: Props<T>) {
  if (empty && !rows.length) return <Empty {...empty} />;
  const all = actions ? [...columns, { title: texts.settings.actions, cell: actions }] : columns;
  return (
    <Table variant="compact" aria-label={label}>
      <Thead>
        <Tr>
          {all.map(({ title }) => (
            <Th key={title} modifier="wrap">
              {title}
            </Th>
          ))}
        </Tr>
      </Thead>
      <Tbody>
        {rows.map((row, index) => (
          <Tr key={keyOf(row)}>
            {all.map(({ title, cell, className }: Column<T>) => (
              <Td key={title} dataLabel={title} {...(className ? { className } : {})}>
                {cell(row, index)}
              </Td>
            ))}
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}
