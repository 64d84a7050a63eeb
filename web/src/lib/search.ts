import type { Session } from "@/api/client";

export interface SessionFilter {
  q: string;
  bng: string;
  state: string;
  auth: string;
}

/** Whether the session is meant: each word of `q` must occur in one of its names or addresses. */
export function matches(session: Session, filter: SessionFilter): boolean {
  if (filter.bng && filter.bng !== bngKey(session)) return false;
  if (filter.state && filter.state !== session.state) return false;
  if (filter.auth && filter.auth !== session.auth) return false;
  if (!filter.q.trim()) return true;
  const { id, subscriber, circuitId, remoteId, router, mac, ip, hostname, policy, acctSessionId } = session;
  const text = [id, subscriber, circuitId, remoteId, router, mac, ip, hostname, policy, acctSessionId].join("\n").toLowerCase();
  return filter.q.toLowerCase().trim().split(/\s+/).every((word) => text.includes(word));
}

/** A gateway's full name, as the API's `bng` filter takes it. */
export const bngKey = ({ namespace, bng }: { namespace: string; bng: string }): string => `${namespace}/${bng}`;
