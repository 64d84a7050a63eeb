"use client";

import Link from "next/link";
import { useMemo } from "react";

import type { Overview as Totals } from "@/api/client";
import { useBngs, useNews, useOverview } from "@/api/queries";
import { bitRate, count } from "@/lib/format";
import { Card, PageHead, Stat } from "@/ui/basics";
import { BngCard } from "@/ui/bng-card";
import { Chart } from "@/ui/chart";
import { Answered, Empty } from "@/ui/states";
import { Timeline } from "@/ui/timeline";

export function Overview() {
  const overview = useOverview();
  return (
    <>
      <PageHead title="Overview" note="The network at a glance" />
      <div className="grid gap-4">
        <Answered query={overview}>
          {(totals) => (
            <>
              <Figures totals={totals} />
              <div className="grid items-stretch gap-4 xl:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
                <Throughput points={totals.throughput.points} />
                <States sessions={totals.sessions} />
              </div>
            </>
          )}
        </Answered>
        <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
          <Gateways />
          <Latest />
        </div>
      </div>
    </>
  );
}

function Figures({ totals: { sessions, bngs, routers, throughput } }: { totals: Totals }) {
  return (
    <Card>
      <dl className="grid grid-cols-2 divide-line md:grid-cols-5 md:divide-x">
        <Stat label="Sessions" value={count(sessions.total)} note={`${count(sessions.authorized)} authorized · ${count(sessions.rejected)} rejected`} />
        <Stat label="Download" value={bitRate(throughput.inputBps)} note="all subscribers, five minutes" tone="text-down" />
        <Stat label="Upload" value={bitRate(throughput.outputBps)} note="all subscribers, five minutes" tone="text-up" />
        <Stat label="BNGs up" value={`${bngs.up} of ${bngs.total}`} note={bngs.stale ? `${bngs.stale} not heard of` : "all heard of lately"} tone={bngs.stale ? "text-bad" : ""} />
        <Stat label="Access routers" value={`${routers.alive} of ${routers.total}`} note={routers.alive < routers.total ? `${routers.total - routers.alive} silent` : "all answer"} tone={routers.alive < routers.total ? "text-warn" : ""} />
      </dl>
    </Card>
  );
}

function Throughput({ points }: { points: Totals["throughput"]["points"] }) {
  const times = useMemo(() => points.map((p) => Date.parse(p.at) / 1000), [points]);
  const series = useMemo(
    () => [
      { label: "Download", color: "--down", values: points.map((p) => p.inputBps) },
      { label: "Upload", color: "--up", values: points.map((p) => p.outputBps) },
    ],
    [points],
  );
  return (
    <Card title="Throughput" aside={<span className="text-xs text-faint">last hour, five-minute averages</span>}>
      {points.length ? <Chart label="Throughput of all subscribers" times={times} series={series} format={bitRate} height={200} floor={1000} span={3600} /> : <Empty title="No traffic reported yet" />}
    </Card>
  );
}

function States({ sessions }: { sessions: Totals["sessions"] }) {
  const state: Bar[] = [
    ["Active", sessions.active, "bg-good", "/sessions/?state=ACTIVE"],
    ["Pending", sessions.pending, "bg-info", "/sessions/?state=PENDING"],
    ["Idle", sessions.idle, "bg-faint", "/sessions/?state=IDLE"],
  ];
  const auth: Bar[] = [
    ["Authorized", sessions.authorized, "bg-good", "/sessions/?auth=AUTHORIZED"],
    ["Waiting for AAA", sessions.pendingAuth, "bg-warn", "/sessions/?auth=PENDING_AUTH"],
    ["Rejected", sessions.rejected, "bg-bad", "/sessions/?auth=REJECTED"],
  ];
  return (
    <Card title="Sessions by state">
      <div className="grid gap-4 px-4 py-3">
        <Bars rows={state} total={sessions.total} />
        <hr className="border-line" />
        <Bars rows={auth} total={sessions.total} />
      </div>
    </Card>
  );
}

type Bar = [label: string, n: number, color: string, href: string];

function Bars({ rows, total }: { rows: Bar[]; total: number }) {
  return (
    <ul className="grid gap-1.5 text-sm">
      {rows.map(([label, n, color, href]) => (
        <li key={label}>
          <Link href={href} className="group grid grid-cols-[8.5rem_1fr_3.5rem] items-center gap-3">
            <span className="group-hover:underline">{label}</span>
            <span aria-hidden className="h-2 overflow-hidden rounded-full bg-raised">
              <span className={`block h-full rounded-full ${color}`} style={{ width: `${total ? (100 * n) / total : 0}%` }} />
            </span>
            <span className="tnum text-right font-medium">{count(n)}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Gateways() {
  const bngs = useBngs();
  return (
    <Answered query={bngs}>
      {(all) =>
        all.length ? (
          <div className="grid gap-4 lg:grid-cols-2">
            {all.map((bng) => (
              <BngCard key={`${bng.namespace}/${bng.name}`} bng={bng} />
            ))}
          </div>
        ) : (
          <Card>
            <Empty title="No gateway yet">Apply a BNG object; it appears here when it reports for the first time.</Empty>
          </Card>
        )
      }
    </Answered>
  );
}

function Latest() {
  const events = useNews(6);
  return (
    <Card title="Latest events" aside={<Link href="/events/" className="text-xs text-accent hover:underline">All events</Link>}>
      <Answered query={events}>
        {(news) => <Timeline events={news} named />}
      </Answered>
    </Card>
  );
}
