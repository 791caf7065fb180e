// A list as a table: each column says its title once, for the head of a wide screen and beside each value on a narrow one.
// Of a long one the first screen is drawn, and more whenever its end comes into sight.
import { Button } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { type ReactNode, memo, startTransition, useEffect, useMemo, useRef, useState } from 'react';

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

/** Rows that are drawn at first, which is a screen of them, and whenever more are wanted. */
const FIRST = 25;
const MORE = 100;

export function Rows<T>({ label, rows, keyOf, columns, actions, empty }: Props<T>) {
  const [count, setCount] = useState(FIRST);
  const all = useMemo(() => (actions ? [...columns, { title: texts.settings.actions, cell: actions }] : columns), [columns, actions]);
  if (empty && !rows.length) return <Empty {...empty} />;
  return (
    <>
      <Table variant="compact" aria-label={label} aria-rowcount={rows.length + 1}>
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
          {rows.slice(0, count).map((row, index) => (
            <Row key={keyOf(row)} row={row} index={index} columns={all} />
          ))}
        </Tbody>
      </Table>
      {rows.length > count ? <More key={count} left={rows.length - count} onMore={() => setCount(count + MORE)} /> : null}
    </>
  );
}

interface RowProps<T> {
  row: T;
  index: number;
  columns: readonly Column<T>[];
}

/** Drawn again when it or its columns are others, not when rows are added below. */
const Row = memo(function Row<T>({ row, index, columns }: RowProps<T>) {
  return (
    <Tr>
      {columns.map(({ title, cell, className }) => (
        <Td key={title} dataLabel={title} {...(className ? { className } : {})}>
          {cell(row, index)}
        </Td>
      ))}
    </Tr>
  );
}) as <T>(props: RowProps<T>) => ReactNode;

/** The end of what is drawn: a button for whoever goes there by keyboard, pressed by itself when it comes into sight. */
function More({ left, onMore }: { left: number; onMore: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const watch = new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting)) startTransition(onMore);
    });
    if (place.current) watch.observe(place.current);
    return () => watch.disconnect();
    // The end is another one whenever more is drawn.
  }, []);
  return (
    <div ref={place}>
      <Button variant="link" onClick={onMore}>
        {texts.more(left)}
      </Button>
    </div>
  );
}
