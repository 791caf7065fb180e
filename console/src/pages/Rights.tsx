// Who may do what: the lines of the access control lists as a matrix.
import { Card, CardBody, CardTitle, Label, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { ROOT, objectTitle, useDocument } from '../api/document';
import { type Json, isMembers } from '../api/json';
import { useNode } from '../api/queries';
import { keyOf } from '../forms/references';
import { nameOf } from '../forms/schema';
import { Rows } from '../display/Rows';
import { Heading, Shown } from '../display/Shown';
import { texts } from '../texts';

interface Line {
  group: string;
  objects: string[];
  permission: 'read' | 'write';
}
const PLACES = {
  accounts: 'aaa/local_database/users',
  groups: 'aaa/local_database/groups',
  lists: 'aaa/acls',
} as const;

export function Rights() {
  const lines = useNode(`${ROOT}/${PLACES.lists}`);
  const groups = useNode(`${ROOT}/${PLACES.groups}`);
  const users = useNode(`${ROOT}/${PLACES.accounts}`);
  const names = new Map((users.data?.items ?? []).map((item) => [item.key, nameOf(item.body) || item.key]));
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.rights}</Heading>
      <div className="row">
        {Object.entries(PLACES).map(([name, path]) => (
          <Link key={path} to="/settings/$" params={{ _splat: path }}>
            {texts.rights[name as keyof typeof PLACES]}
          </Link>
        ))}
      </div>
      <Shown of={lines}>
        {(answer) => (
          <Shown of={groups}>
            {(list) => <Matrix lines={(answer.body as unknown as Line[]) ?? []} members={membersOf(list.items, names)} />}
          </Shown>
        )}
      </Shown>
    </Stack>
  );
}

function membersOf(groups: { body?: Json }[], names: Map<string, string>): Map<string, string[]> {
  return new Map(
    groups.map((group) => {
      const body = isMembers(group.body) ? group.body : {};
      const members = Array.isArray(body.members) ? body.members.map((one) => names.get(keyOf(one)) ?? keyOf(one)) : [];
      return [String(body.name ?? ''), members];
    }),
  );
}

function Matrix({ lines, members }: { lines: Line[]; members: Map<string, string[]> }) {
  const groups = [...new Set([...members.keys(), ...lines.map((line) => line.group)])].filter(Boolean);
  const may = (group: string, permission: string) =>
    [...new Set(lines.filter((line) => line.group === group && line.permission === permission).flatMap((line) => line.objects))];
  return (
    <Card>
      <CardTitle component="h2">{texts.rights.matrix}</CardTitle>
      <CardBody>
        <Rows
          label={texts.rights.matrix}
          rows={groups}
          keyOf={(group) => group}
          columns={[
            { title: texts.rights.group, cell: (group) => group },
            { title: texts.rights.members, cell: (group) => (members.get(group) ?? []).join(', ') || texts.rights.nothing },
            { title: texts.rights.read, cell: (group) => <Objects names={may(group, 'read')} /> },
            { title: texts.rights.write, cell: (group) => <Objects names={may(group, 'write')} /> },
          ]}
        />
      </CardBody>
    </Card>
  );
}

function Objects({ names }: { names: string[] }) {
  const { data } = useDocument();
  if (!names.length) return <>{texts.rights.nothing}</>;
  return (
    <div className="row">
      {names.map((name) => (
        <Label key={name} isCompact title={name}>
          {objectTitle(data, name)}
        </Label>
      ))}
    </div>
  );
}
