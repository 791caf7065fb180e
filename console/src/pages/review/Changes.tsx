// The difference, setting by setting: titles and names instead of paths and keys.
import { Button, Card, CardBody, CardTitle, ExpandableSection, Label } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { Fragment, type ReactNode, useState } from 'react';

import { type ApiDocument, bodySchema, locate, placeTitle, trail, useDocument } from '../../api/document';
import { type Json, isMembers } from '../../api/json';
import { type Change, useNode } from '../../api/queries';
import { Rows } from '../../display/Rows';
import { Shown } from '../../display/Shown';
import { nameOf } from '../../forms/schema';
import { texts } from '../../texts';
import { settingsPath } from '../../api/paths';
import { leaves } from './leaves';

const WORDS = { create: texts.review.added, delete: texts.review.removed, reorder: texts.review.moved, replace: texts.review.changed };
const COLOURS = { create: 'green', delete: 'red', reorder: 'blue', replace: 'blue' } as const;

interface Props {
  changes: Change[];
  /** What takes the change of one resource back, where that can be. */
  onUndo?: (path: string) => void;
}

export function Changes({ changes, onUndo }: Props) {
  const document = useDocument();
  return (
    <Card>
      <CardTitle component="h2">{texts.review.changes}</CardTitle>
      <CardBody>
        <Shown of={document}>
          {(found) => (
            <Rows
              label={texts.review.changes}
              rows={changes}
              keyOf={(one) => one.path}
              columns={[
                { title: texts.review.setting, cell: (one) => <Title change={one} document={found} /> },
                { title: texts.review.before, className: 'removed', cell: (one) => <Side change={one} value={one.old_value ?? one.old_order} document={found} /> },
                { title: texts.review.after, className: 'added', cell: (one) => <Side change={one} value={one.new_value ?? one.new_order} document={found} /> },
              ]}
              actions={
                onUndo
                  ? (one) => {
                      const [path = ''] = one.path.split('#');
                      return (
                        <Button variant="link" isInline aria-label={`${texts.history.undoOne}: ${path}`} onClick={() => onUndo(path)}>
                          {texts.history.undoOne}
                        </Button>
                      );
                    }
                  : undefined
              }
            />
          )}
        </Shown>
        <Raw value={changes} />
      </CardBody>
    </Card>
  );
}

function Title({ change, document }: { change: Change; document: ApiDocument }) {
  const [path = '', place = ''] = change.path.split('#');
  const found = locate(document, path);
  if (!found) return <>{change.path}</>;
  const titles: ReactNode[] = trail(document, found.endpoint.path);
  if (found.key) titles.push((place ? '' : nameOf(change.new_value ?? change.old_value)) || <ObjectName path={path} objectKey={found.key} isThere={change.type !== 'create' || !!place} />);
  if (place) titles.push(placeTitle(document, bodySchema(document, found.endpoint), `/${place.replace(/^\//, '')}`));
  return (
    <>
      <Link to="/settings/$" params={{ _splat: settingsPath(path) }}>
        {titles.map((title, index) => (
          <Fragment key={index}>
            {index ? ' › ' : ''}
            {title}
          </Fragment>
        ))}
      </Link>{' '}
      <Label isCompact color={COLOURS[change.type]}>
        {WORDS[change.type]}
      </Label>
    </>
  );
}

/** The name of an object whose change does not tell it: as it is now, its key where it is no more. */
function ObjectName({ path, objectKey, isThere }: { path: string; objectKey: string; isThere: boolean }) {
  const object = useNode(path, isThere);
  return <>{nameOf(object.data?.body) || objectKey}</>;
}

/** The same as JSON, which is made when somebody wants to see it. */
export function Raw({ value }: { value: unknown }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <ExpandableSection toggleText={texts.review.raw} isExpanded={isOpen} onToggle={(_, open) => setOpen(open)}>
      {isOpen ? <pre className="value">{JSON.stringify(value, null, 2)}</pre> : null}
    </ExpandableSection>
  );
}

/** What stood, or stands, at the place of a change. */
function Side({ change, value, document }: { change: Change; value: Json | undefined; document: ApiDocument }) {
  const [path = '', place = ''] = change.path.split('#');
  const found = locate(document, path);
  return <Value value={value} document={document} schema={found ? bodySchema(document, found.endpoint) : null} place={place} />;
}

interface ValueProps {
  value: Json | undefined;
  document: ApiDocument;
  schema: ReturnType<typeof bodySchema>;
  place: string;
}

const LONG = 400;

export function Value({ value, document, schema, place }: ValueProps) {
  if (value === undefined) return <>{texts.rights.nothing}</>;
  const lines = leaves(value).map(([pointer, leaf]) => {
    const at = placeTitle(document, schema, `${place ? `/${place.replace(/^\//, '')}` : ''}${pointer}`);
    const own = place ? at.split(' › ').slice(place.split('/').filter(Boolean).length).join(' › ') : at;
    return own && (isMembers(value) || Array.isArray(value)) ? `${own}: ${leaf}` : leaf;
  });
  const text = lines.join('\n');
  if (text.length <= LONG) return <div className="value">{text}</div>;
  return (
    <ExpandableSection toggleText={texts.settings.entries(lines.length)}>
      <div className="value">{text}</div>
    </ExpandableSection>
  );
}
