// The difference, setting by setting: titles and names instead of paths and keys.
import { Card, CardBody, CardTitle, ExpandableSection, Label } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { Link } from '@tanstack/react-router';

import { type ApiDocument, type Json, bodySchema, locate, placeTitle, trail, useDocument } from '../../api/document';
import { type Change, useNode } from '../../api/queries';
import { Shown } from '../../frame/Shown';
import { isMembers, nameOf } from '../../forms/schema';
import { texts } from '../../texts';
import { settingsPath } from '../settings/paths';
import { leaves } from './leaves';

const WORDS = { create: texts.review.added, delete: texts.review.removed, reorder: texts.review.moved, replace: texts.review.changed };
const COLOURS = { create: 'green', delete: 'red', reorder: 'blue', replace: 'blue' } as const;

export function Changes({ changes }: { changes: Change[] }) {
  const document = useDocument();
  return (
    <Card>
      <CardTitle component="h2">{texts.review.changes}</CardTitle>
      <CardBody>
        <Shown of={document}>
          {(found) => (
            <Table variant="compact" aria-label={texts.review.changes}>
              <Thead>
                <Tr>
                  <Th>{texts.review.setting}</Th>
                  <Th>{texts.review.before}</Th>
                  <Th>{texts.review.after}</Th>
                </Tr>
              </Thead>
              <Tbody>
                {changes.map((one) => (
                  <OneChange key={one.path} change={one} document={found} />
                ))}
              </Tbody>
            </Table>
          )}
        </Shown>
        <ExpandableSection toggleText={texts.review.raw}>
          <pre className="value">{JSON.stringify(changes, null, 2)}</pre>
        </ExpandableSection>
      </CardBody>
    </Card>
  );
}

function Title({ change, document }: { change: Change; document: ApiDocument }) {
  const [path = '', place = ''] = change.path.split('#');
  const found = locate(document, path);
  const isThere = change.type !== 'create' || !!place;
  const object = useNode(path, !!found?.key && isThere && !nameOf(change.new_value ?? change.old_value));
  if (!found) return <>{change.path}</>;
  const titles = trail(document, found.endpoint.path);
  if (found.key) titles.push(nameOf(place ? undefined : (change.new_value ?? change.old_value)) || nameOf(object.data?.body) || found.key);
  if (place) titles.push(placeTitle(document, bodySchema(document, found.endpoint), `/${place.replace(/^\//, '')}`));
  return (
    <>
      <Link to="/settings/$" params={{ _splat: settingsPath(path) }}>
        {titles.join(' › ')}
      </Link>{' '}
      <Label isCompact color={COLOURS[change.type]}>
        {WORDS[change.type]}
      </Label>
    </>
  );
}

function OneChange({ change, document }: { change: Change; document: ApiDocument }) {
  const [path = '', place = ''] = change.path.split('#');
  const found = locate(document, path);
  const schema = found ? bodySchema(document, found.endpoint) : null;
  const before = change.old_value ?? change.old_order;
  const after = change.new_value ?? change.new_order;
  return (
    <Tr>
      <Td dataLabel={texts.review.setting}>
        <Title change={change} document={document} />
      </Td>
      <Td dataLabel={texts.review.before} className="removed">
        <Value value={before} document={document} schema={schema} place={place} />
      </Td>
      <Td dataLabel={texts.review.after} className="added">
        <Value value={after} document={document} schema={schema} place={place} />
      </Td>
    </Tr>
  );
}

interface ValueProps {
  value: Json | undefined;
  document: ApiDocument;
  schema: ReturnType<typeof bodySchema>;
  place: string;
}

const LONG = 400;

function Value({ value, document, schema, place }: ValueProps) {
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
