import type { Session } from "./client";

/** The live sessions, and the ends that a list older than the stream must not undo. */
export interface Live {
  sessions: ReadonlyMap<string, Session>;
  ended: ReadonlyMap<string, number>;
}

export const nothing: Live = { sessions: new Map(), ended: new Map() };

/** After these changes, in any order: the highest revision of a session counts. */
export function applyChanges(live: Live, changes: readonly Session[]): Live {
  if (changes.length === 0) return live;
  const sessions = new Map(live.sessions);
  const ended = new Map(live.ended);
  for (const session of changes) {
    const known = Math.max(sessions.get(session.id)?.revision ?? -1, ended.get(session.id) ?? -1);
    if (session.revision < known) continue;
    if (session.ended) {
      sessions.delete(session.id);
      ended.set(session.id, session.revision);
    } else {
      // A provisional end can be corrected: the session is back with a higher revision.
      ended.delete(session.id);
      sessions.set(session.id, session);
    }
  }
  return { sessions, ended };
}

/**
 * With a list that was asked for after `stream` began to collect: what the stream saw since then is newer than the list,
 * whatever the list lacks is gone.
 */
export function applyList(list: readonly Session[], stream: Live): Live {
  const listed = applyChanges({ sessions: new Map(), ended: stream.ended }, list);
  return applyChanges(listed, [...stream.sessions.values()]);
}
