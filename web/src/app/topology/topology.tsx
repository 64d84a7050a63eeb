"use client";

import Link from "next/link";
import { useMemo } from "react";

import type { Session } from "@/api/client";
import { useLiveSessions } from "@/api/live";
import { useBngs, useRouters } from "@/api/queries";
import { count, octets, words } from "@/lib/format";
import { type BngNode, type RouterNode, topologyOf } from "@/lib/topology";
import { Badge } from "@/ui/badge";
import { Card, Mono, PageHead } from "@/ui/basics";
import { verdict } from "@/ui/bng-card";
import { Answered, Empty, Failure } from "@/ui/states";

/** Gateways, the access routers behind them, and who is online there. */
export function Topology() {
  const bngs = useBngs();
  const routers = useRouters();
  const live = useLiveSessions();
  const tree = useMemo(
    () => topologyOf(bngs.data ?? [], routers.data?.pages.flatMap((page) => page.items) ?? [], live.sessions),
    [bngs.data, routers.data, live.sessions],
  );
  return (
    <>
      <PageHead title="Topology" note="Gateways, the access routers behind them, and who is online there">
        <Legend />
      </PageHead>
      {live.error && <Failure error={live.error} />}
      <Answered query={bngs}>
        {() =>
          tree.length ? (
            <div className="grid gap-4">
              {tree.map((node) => (
                <Gateway key={node.key} node={node} />
              ))}
            </div>
          ) : (
            <Card>
              <Empty title="No gateway yet">Apply a BNG object; it appears here when it reports for the first time.</Empty>
            </Card>
          )
        }
      </Answered>
    </>
  );
}

function Gateway({ node }: { node: BngNode }) {
  const [tone, text] = node.bng ? verdict(node.bng) : (["bad", "Never heard of"] as const);
  const sessions = node.routers.reduce((sum, router) => sum + router.sessions.length, 0);
  return (
    <Card>
      <section aria-label={`BNG ${node.key}`} className="grid items-center gap-y-3 p-4 md:grid-cols-[13rem_minmax(0,1fr)]">
        <div className="rounded-md border border-line-strong bg-raised px-3 py-2.5">
          <Link href={`/bngs/?bng=${node.key}`} className="font-semibold hover:text-accent hover:underline">
            {node.key}
          </Link>
          <p className="tnum pt-0.5 pb-1.5 text-xs text-soft">
            {count(node.routers.length)} routers · {count(sessions)} sessions
          </p>
          <Badge tone={tone}>{text}</Badge>
        </div>
        <div className="relative">
          {node.routers.length > 0 && <span aria-hidden className="absolute top-1/2 left-0 h-px w-5 bg-line-strong max-md:hidden" />}
          <ul className="grid">
            {node.routers.map((router) => (
              <RouterRow key={router.name} node={router} />
            ))}
          </ul>
        </div>
      </section>
    </Card>
  );
}

/** As many subscribers of a router as are drawn. */
const SHOWN = 60;

/** The lines to the gateway are borders of the row: half of the first and of the last row, all of those between. */
function RouterRow({ node: { name, router, sessions } }: { node: RouterNode }) {
  const answers = router?.alive ?? false;
  return (
    <li className="group relative grid items-center gap-x-4 gap-y-2 py-2 md:grid-cols-[11rem_minmax(0,1fr)] md:pl-10">
      <span aria-hidden className="absolute inset-y-0 left-5 w-px bg-line-strong group-first:top-1/2 group-last:bottom-1/2 max-md:hidden" />
      <span aria-hidden className="absolute top-1/2 left-5 h-px w-5 bg-line-strong max-md:hidden" />
      <div className={`rounded-md border px-3 py-1.5 ${answers ? "border-line-strong" : "border-bad/50"}`}>
        <p className="flex items-center gap-2">
          <Link href={`/sessions/?q=${encodeURIComponent(name)}`} className="grow truncate text-sm font-medium hover:text-accent hover:underline">
            {name}
          </Link>
          {!answers && <Badge tone="bad">Silent</Badge>}
        </p>
        <p className="text-xs text-faint">
          <Mono>{router?.giaddr ?? "no relay address"}</Mono>
        </p>
      </div>
      {sessions.length ? (
        <ul aria-label={`Sessions through ${name}`} className="flex flex-wrap gap-1.5">
          {sessions.slice(0, SHOWN).map((session) => (
            <Subscriber key={session.id} session={session} />
          ))}
          {sessions.length > SHOWN && (
            <li>
              <Link href={`/sessions/?q=${encodeURIComponent(name)}`} className="px-1 text-xs text-accent hover:underline">
                and {count(sessions.length - SHOWN)} more
              </Link>
            </li>
          )}
        </ul>
      ) : (
        <p className="text-sm text-faint">nobody online</p>
      )}
    </li>
  );
}

type Kind = "Online" | "Waiting" | "Idle" | "Rejected";
const DOTS: Record<Kind, string> = { Online: "bg-good", Waiting: "bg-info", Idle: "bg-faint", Rejected: "bg-bad" };

function kindOf({ auth, state }: Session): Kind {
  if (auth === "REJECTED") return "Rejected";
  if (auth === "PENDING_AUTH" || state === "PENDING") return "Waiting";
  return state === "IDLE" ? "Idle" : "Online";
}

function Subscriber({ session: s }: { session: Session }) {
  const kind = kindOf(s);
  const title = `${s.remoteId} at ${s.circuitId}: ${s.ip}, ${words(s.state)}, ${words(s.auth).toLowerCase()}, ↓ ${octets(s.counters.inputOctets)} ↑ ${octets(s.counters.outputOctets)}`;
  return (
    <li>
      <Link href={`/sessions/?id=${s.id}`} title={title} className="flex items-center gap-1.5 rounded border border-line bg-surface px-2 py-0.5 text-xs hover:border-accent hover:text-accent">
        <span aria-hidden className={`size-2 rounded-full ${DOTS[kind]}`} />
        {s.remoteId || s.ip}
        <span className="sr-only">, {kind}</span>
      </Link>
    </li>
  );
}

function Legend() {
  return (
    <ul aria-label="Legend" className="flex gap-4 text-xs text-soft">
      {Object.entries(DOTS).map(([kind, dot]) => (
        <li key={kind} className="flex items-center gap-1.5">
          <span aria-hidden className={`size-2 rounded-full ${dot}`} />
          {kind}
        </li>
      ))}
    </ul>
  );
}
