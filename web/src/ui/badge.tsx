import type { ReactNode } from "react";

import type { AuthState, SessionState } from "@/api/client";
import { words } from "@/lib/format";

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

const TONES: Record<Tone, string> = {
  good: "bg-good-wash text-good",
  warn: "bg-warn-wash text-warn",
  bad: "bg-bad-wash text-bad",
  info: "bg-info-wash text-info",
  quiet: "bg-raised text-soft",
};

export function Badge({ tone, title, children }: { tone: Tone; title?: string; children: ReactNode }) {
  return (
    <span title={title} className={`inline-flex items-center gap-1.5 rounded-full px-2 py-px align-[1px] text-xs font-medium whitespace-nowrap ${TONES[tone]}`}>
      <span className="size-1.5 rounded-full bg-current" aria-hidden />
      {children}
    </span>
  );
}

const STATES: Record<SessionState, Tone> = { ACTIVE: "good", PENDING: "info", IDLE: "quiet", EXPIRED: "quiet" };
export const StateBadge = ({ state }: { state: SessionState }) => <Badge tone={STATES[state]}>{words(state)}</Badge>;

const AUTHS: Record<AuthState, Tone> = { AUTHORIZED: "good", PENDING_AUTH: "warn", REJECTED: "bad" };
export const AuthBadge = ({ auth }: { auth: AuthState }) => <Badge tone={AUTHS[auth]}>{words(auth)}</Badge>;
