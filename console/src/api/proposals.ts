// Commits that wait for other people, as the server tells of them.
import { type Item, type List, useAnswer, useUser } from './queries';

export const PROPOSALS = '/api/proposals';

export type ProposalState = 'accepted' | 'conflicting' | 'done' | 'expired' | 'failed' | 'rejected' | 'waiting' | 'withdrawn';

export interface Proposal {
  author: string;
  changes: number;
  commit_message: string | null;
  confirm_seconds: number | null;
  created: string;
  decisions: { decision: 'accept' | 'reject'; reason: string | null; time: string; user: string; void: boolean }[];
  error: { reason?: string; message?: string } | null;
  expires: string | null;
  revision: number | null;
  state: ProposalState;
  waits_for: { accepted: string[]; group: string; required: number }[];
}

export const COLOURS = {
  accepted: 'blue',
  conflicting: 'orange',
  done: 'green',
  expired: 'grey',
  failed: 'red',
  rejected: 'red',
  waiting: 'blue',
  withdrawn: 'grey',
} as const;

export const isOpen = (proposal: Proposal) => proposal.expires !== null;

/** Proposals that have not ended. The topic of runs is told of every record that is written, and so of these. */
export const useOpenProposals = () => useAnswer<List<Proposal>>(`${PROPOSALS}?state=open`, 'runs');

/** Whether it is for the reader to decide, as far as groups say so; the server judges. */
export function useIsMine(): { own: (proposal: Proposal) => boolean; decidable: (proposal: Proposal) => boolean } {
  const user = useUser().data?.body;
  const own = (proposal: Proposal) => proposal.author === user?.name;
  const isAsked = (proposal: Proposal) => proposal.waits_for.some((one) => user?.groups.includes(one.group));
  return { own, decidable: (proposal) => isOpen(proposal) && !own(proposal) && isAsked(proposal) };
}

/** Open proposals that wait for a decision of the reader, who has taken none yet. */
export function useWaitingForMe(): Item<Proposal>[] {
  const open = useOpenProposals();
  const { decidable } = useIsMine();
  const name = useUser().data?.body.name;
  return (open.data?.items ?? []).filter(({ body }) => body && decidable(body) && !body.decisions.some((one) => one.user === name && !one.void));
}
