// What the list of proposals and the page of one share.
import { Label } from '@patternfly/react-core';

import { texts } from '../../texts';
import { COLOURS, type Proposal } from '../../api/proposals';

export function State({ of }: { of: Proposal }) {
  return (
    <Label isCompact color={COLOURS[of.state]}>
      {texts.proposals.states[of.state]}
    </Label>
  );
}

/** Which groups have to accept it, and how many of them did. */
export function Awaited({ of }: { of: Proposal }) {
  if (!of.waits_for.length) return <>{texts.rights.nothing}</>;
  return <>{of.waits_for.map((one) => texts.proposals.group(one.group, one.accepted, one.required)).join(', ')}</>;
}

export const titleOfProposal = (of: Proposal) => of.commit_message || texts.proposals.untitled(of.changes);
