"use client";

import Link from "next/link";

import type { Event } from "@/api/client";
import { describe, EVENT_NAMES, subjectOf, toneOf } from "@/lib/events";
import type { Tone } from "./badge";
import { Ago } from "./basics";
import { Empty } from "./states";

const DOTS: Record<Tone, string> = { good: "bg-good", warn: "bg-warn", bad: "bg-bad", info: "bg-info", quiet: "bg-line-strong" };

/** Events from the latest to the first, along a line; `named` = each says whom it is about. */
export function Timeline({ events, named = false }: { events: Event[]; named?: boolean }) {
  if (events.length === 0) return <Empty title="No events yet" />;
  return (
    <ol className="px-4 py-3">
      {events.map((event) => (
        <li key={`${event.bngInstanceId}-${event.seq}`} className="group relative flex gap-3 pb-3 last:pb-0">
          <span aria-hidden className="absolute top-4 bottom-0 left-[3.5px] w-px bg-line group-last:hidden" />
          <span aria-hidden className={`relative mt-1.5 size-2 shrink-0 rounded-full ${DOTS[toneOf(event)]}`} />
          <div className="min-w-0 grow">
            <p className="flex items-baseline gap-2">
              <span className="grow text-sm font-medium">{EVENT_NAMES[event.eventType]}</span>
              <span className="text-xs text-faint">
                <Ago at={event.ts} />
              </span>
            </p>
            {named && event.sessionId && (
              <p className="truncate text-sm">
                <Link href={`/sessions/?id=${event.sessionId}`} className="hover:text-accent hover:underline">
                  {subjectOf(event)}
                </Link>
              </p>
            )}
            <p className="text-sm break-words text-soft">{describe(event)}</p>
          </div>
        </li>
      ))}
    </ol>
  );
}
