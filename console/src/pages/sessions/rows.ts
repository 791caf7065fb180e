// What the API tells of sessions.
export interface Peer {
  ip?: string;
  name?: string;
  port?: number;
}
export interface LiveBody {
  client?: Peer;
  server?: Peer;
  connection_policy?: string;
  followable: boolean;
  gateway_username?: string;
  locked: boolean;
  protocol: string;
  server_username?: string;
  start_time: string;
}
export interface SessionBody {
  active: boolean;
  node_id?: string;
  client?: Peer;
  server?: Peer;
  protocol: string;
  start_time: string;
  duration?: number;
  user?: { name?: string; gateway_username?: string; server_username?: string[] };
  verdict: string;
}

export const peerName = (peer: Peer | undefined) => (peer ? `${peer.name ?? peer.ip ?? ''}${peer.port ? `:${peer.port}` : ''}` : '');

export function lasting(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((one, index) => (index ? String(one).padStart(2, '0') : String(one))).join(':');
}
