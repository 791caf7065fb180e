// Commits that wait for other people, and what became of those that waited.
import { Alert, Card, CardBody, CardTitle, Stack } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';

import { ROOT } from '../api/document';
import { isMembers } from '../api/json';
import { type Item, type List, useAnswer, useNode } from '../api/queries';
import { useRights } from '../api/rights';
import { Rows } from '../display/Rows';
import { Heading, Moment, Shown } from '../display/Shown';
import { texts } from '../texts';
import { Awaited, State, titleOfProposal } from './proposals/Parts';
import { PROPOSALS, type Proposal, isOpen, useIsMine } from '../api/proposals';

const SETTINGS = `${ROOT}/management/change_approval`;

export function Proposals() {
  const proposals = useAnswer<List<Proposal>>(PROPOSALS, 'runs');
  return (
    <Stack hasGutter>
      <Heading>{texts.pages.proposals}</Heading>
      <Approval />
      <Shown of={proposals}>
        {({ items }) => (
          <>
            <Listed title={texts.proposals.open} items={items.filter(({ body }) => body && isOpen(body))} empty={{ title: texts.proposals.none, text: texts.proposals.noneText }} />
            <Listed title={texts.proposals.ended} items={items.filter(({ body }) => body && !isOpen(body))} />
          </>
        )}
      </Shown>
    </Stack>
  );
}

/** Whether changes wait for anybody at all, for those who may know. */
function Approval() {
  const rights = useRights();
  const settings = useNode(SETTINGS, rights.mayRead('/special/basic', SETTINGS));
  const body = settings.data?.body;
  const link = (
    <Link to="/settings/$" params={{ _splat: 'management/change_approval' }}>
      {texts.proposals.rules}
    </Link>
  );
  if (!isMembers(body)) return null;
  if (body.enabled === true) return <div className="row">{link}</div>;
  return (
    <Alert isInline variant="info" component="h2" title={texts.proposals.off}>
      {link}
    </Alert>
  );
}

function Listed({ title, items, empty }: { title: string; items: Item<Proposal>[]; empty?: { title: string; text: string } }) {
  const { own } = useIsMine();
  const rows = items.flatMap(({ key, body }) => (body ? [{ key, body }] : []));
  if (!rows.length && !empty) return null;
  return (
    <Card>
      <CardTitle component="h2">{title}</CardTitle>
      <CardBody>
        <Rows
          label={title}
          rows={rows}
          keyOf={(row) => row.key}
          {...(empty ? { empty } : {})}
          columns={[
            {
              title: texts.proposals.what,
              cell: ({ key, body }) => (
                <Link to="/proposals/$id" params={{ id: key }}>
                  {titleOfProposal(body)}
                </Link>
              ),
            },
            { title: texts.history.author, cell: ({ body }) => (own(body) ? texts.proposals.you(body.author) : body.author) },
            { title: texts.proposals.made, cell: ({ body }) => <Moment at={body.created} /> },
            { title: texts.backups.state, cell: ({ body }) => <State of={body} /> },
            empty
              ? { title: texts.proposals.waitsFor, cell: ({ body }) => <Awaited of={body} /> }
              : { title: texts.history.revision, cell: ({ body }) => body.revision ?? texts.rights.nothing },
          ]}
        />
      </CardBody>
    </Card>
  );
}
