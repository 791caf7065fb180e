// What an answer is shown with: while it is awaited, where it is refused, and where there is nothing.
import { Alert, Button, Content, EmptyState, EmptyStateBody, Spinner } from '@patternfly/react-core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import { ApiError } from '../api/client';
import { texts } from '../texts';

export function Shown<T>({ of, children }: { of: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return <>{children(of.data)}</>;
  if (of.isPending) return <Waiting />;
  const isForbidden = of.error instanceof ApiError && of.error.status === 403;
  return (
    <Alert isInline variant={isForbidden ? 'info' : 'warning'} component="h2" title={isForbidden ? texts.forbidden : texts.failed}>
      {isForbidden ? null : (
        <>
          <p>{of.error?.message}</p>
          <Button variant="link" isInline onClick={() => void of.refetch()}>
            {texts.retry}
          </Button>
        </>
      )}
    </Alert>
  );
}

export const Waiting = () => <Spinner size="lg" aria-label={texts.waiting} />;

export function Empty({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <EmptyState titleText={title} headingLevel="h2" variant="xs">
      <EmptyStateBody>{text}</EmptyStateBody>
      {children}
    </EmptyState>
  );
}

export function Heading({ children }: { children: ReactNode }) {
  return <Content component="h1">{children}</Content>;
}

/** A moment in the reader's time zone; the node's own way to write it on hover. */
export function Moment({ at }: { at: string | number | null | undefined }) {
  if (at === null || at === undefined || at === '') return null;
  const date = new Date(typeof at === 'number' ? at * 1000 : at);
  if (Number.isNaN(date.getTime())) return <>{String(at)}</>;
  return (
    <time dateTime={date.toISOString()} title={typeof at === 'string' ? at : date.toISOString()}>
      {date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })}
    </time>
  );
}
