"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";

import { api, ApiError, type Session, unwrap } from "@/api/client";
import { Button } from "./basics";

type Outcome = { kind: "asking" } | { kind: "working" } | { kind: "done" } | { kind: "refused" | "unknown"; why: string };

/** Orders the gateway to stop the session, after a question, and says what truly came of it. */
export function Disconnect({ session, allowed }: { session: Session; allowed: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const client = useQueryClient();
  const [outcome, setOutcome] = useState<Outcome>({ kind: "asking" });

  async function disconnect() {
    setOutcome({ kind: "working" });
    setOutcome(await order(session.id));
    await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey.includes(session.id) });
  }

  function open() {
    setOutcome({ kind: "asking" });
    dialog.current?.showModal();
  }

  return (
    <>
      <span title={allowed ? undefined : "Your user may not delete sessions.sessions.lastmile.io"}>
        <Button tone="danger" onClick={open} disabled={!allowed}>
          Disconnect…
        </Button>
      </span>
      <dialog ref={dialog} aria-labelledby="disconnect-title" className="w-[28rem] max-w-[90vw] rounded-xl border border-line bg-surface p-6 text-ink shadow-xl backdrop:bg-black/40">
        <h2 id="disconnect-title" className="text-base font-semibold">
          {TITLES[outcome.kind].replace("LINE", session.remoteId || session.ip)}
        </h2>
        <p role="status" className="pt-2 pb-5 text-sm text-soft">
          {"why" in outcome ? outcome.why : TEXTS[outcome.kind]}
        </p>
        <div className="flex justify-end gap-2">
          <Button onClick={() => dialog.current?.close()} autoFocus>
            {outcome.kind === "asking" ? "Keep online" : "Close"}
          </Button>
          {outcome.kind === "asking" && (
            <Button tone="danger" onClick={() => void disconnect()}>
              Disconnect now
            </Button>
          )}
        </div>
      </dialog>
    </>
  );
}

const TITLES: Record<Outcome["kind"], string> = {
  asking: "Disconnect LINE?",
  working: "Disconnecting LINE…",
  done: "LINE is disconnected",
  refused: "LINE was not disconnected",
  unknown: "It is not known whether LINE was disconnected",
};

const TEXTS = {
  asking: "The gateway closes the subscriber's gate, sends the final accounting record and forgets the lease. The subscriber's device may come back by asking for an address again.",
  working: "Waiting for the gateway's word.",
  done: "The gateway stopped the session and wrote it to its journal. The figures here become final within a second or two.",
};

async function order(id: string): Promise<Outcome> {
  try {
    await unwrap(api.POST("/api/v1/sessions/{id}/disconnect", { params: { path: { id } } }));
    return { kind: "done" };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    // No answer, or none in time: the order may have arrived all the same.
    const answered = error instanceof ApiError && error.status < 500;
    return { kind: answered ? "refused" : "unknown", why };
  }
}
