"use client";

import Link from "next/link";
import { useMemo } from "react";

import type { Session } from "@/api/client";
import { useMe, useSession, useSessionEvents, useTraffic } from "@/api/queries";
import { bitRate, count, duration, limit, octets } from "@/lib/format";
import { useNow } from "@/lib/now";
import { AuthBadge, Badge, StateBadge } from "@/ui/badge";
import { Ago, Card, Facts, Mono, More, PageHead, Stat } from "@/ui/basics";
import { Chart } from "@/ui/chart";
import { Disconnect } from "@/ui/disconnect";
import { Answered, Empty } from "@/ui/states";
import { Timeline } from "@/ui/timeline";

/** Everything about one session, of now or of the past. */
export function SessionDetail({ id }: { id: string }) {
  const query = useSession(id);
  return (
    <>
      <p className="pb-1 text-sm text-faint">
        <Link href="/sessions/" className="hover:text-ink hover:underline">
          ← Sessions
        </Link>
      </p>
      <Answered query={query}>{(session) => <Detail session={session} />}</Answered>
    </>
  );
}

function Detail({ session }: { session: Session }) {
  const me = useMe();
  return (
    <>
      <PageHead
        title={session.remoteId || session.subscriber}
        note={
          <span className="flex flex-wrap items-center gap-2">
            <Mono>{session.ip}</Mono>
            <StateBadge state={session.state} />
            <AuthBadge auth={session.auth} />
          </span>
        }
      >
        {!session.ended && <Disconnect session={session} allowed={me.data?.canDisconnect ?? false} />}
      </PageHead>
      <div className="grid gap-4">
        <Figures session={session} />
        <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <div className="grid gap-4">
            <TrafficChart session={session} />
            <Identity session={session} />
          </div>
          <History session={session} />
        </div>
      </div>
    </>
  );
}

function Figures({ session }: { session: Session }) {
  const now = useNow();
  const end = session.ended ? Date.parse(session.ended.at) : now;
  const { counters, ended } = session;
  return (
    <Card>
      <dl className="grid grid-cols-2 divide-line md:grid-cols-4 md:divide-x">
        <Stat label="Downloaded" value={octets(counters.inputOctets)} note={`${count(counters.inputPackets)} packets`} tone="text-down" />
        <Stat label="Uploaded" value={octets(counters.outputOctets)} note={`${count(counters.outputPackets)} packets`} tone="text-up" />
        <Stat label={ended ? "Lasted" : "Online for"} value={duration((end - Date.parse(session.startedAt)) / 1000)} note={<>started <Ago at={session.startedAt} /></>} />
        {ended ? (
          <Stat label="Ended" value={ended.cause} note={<>{ended.detail} · <Ago at={ended.at} /></>} />
        ) : (
          <Stat label="Policy" value={session.policy ?? "–"} note={session.auth === "AUTHORIZED" ? `↓ ${limit(session.downKbps)} · ↑ ${limit(session.upKbps)}` : "nothing is let through"} />
        )}
      </dl>
      {ended?.provisional && <p className="border-t border-line px-4 py-2 text-sm text-warn">Closed for a gateway that is gone; the gateway may still correct these figures.</p>}
    </Card>
  );
}

function TrafficChart({ session }: { session: Session }) {
  const query = useTraffic(session.id, !session.ended);
  return (
    <Card title="Traffic" aside={<span className="text-xs text-faint">rate between reports</span>}>
      <Answered query={query}>
        {(points) => (points.length > 1 ? <Rates points={points} /> : <Empty title="No traffic to draw yet">The first rate appears with the second accounting report.</Empty>)}
      </Answered>
    </Card>
  );
}

function Rates({ points }: { points: { at: string; inputBps: number; outputBps: number }[] }) {
  const times = useMemo(() => points.map((p) => Date.parse(p.at) / 1000), [points]);
  const series = useMemo(
    () => [
      { label: "Download", color: "--down", values: points.map((p) => p.inputBps) },
      { label: "Upload", color: "--up", values: points.map((p) => p.outputBps) },
    ],
    [points],
  );
  return <Chart label="Traffic of the session" times={times} series={series} format={bitRate} height={220} floor={1000} stepped />;
}

function Identity({ session: s }: { session: Session }) {
  return (
    <Card title="Identity">
      <Facts
        items={[
          ["User-Name", <Mono key="u">{s.subscriber}</Mono>],
          ["Circuit-ID", <Mono key="c">{s.circuitId}</Mono>],
          ["Remote-ID", <Mono key="r">{s.remoteId}</Mono>],
          ["MAC", <Mono key="m">{s.mac}</Mono>],
          ["Host name", s.hostname],
          ["Access router", <>{s.router}{s.giaddr && <span className="text-faint"> · {s.giaddr}</span>}</>],
          ["BNG", <Link key="b" href={`/bngs/?bng=${s.namespace}/${s.bng}`} className="text-accent hover:underline">{s.namespace}/{s.bng}</Link>],
          ["Policy", s.policy && <>{s.policy} <span className="text-faint">↓ {limit(s.downKbps)} ↑ {limit(s.upKbps)}</span></>],
          ["Lease ends", s.leaseExpiresAt && <Ago at={s.leaseExpiresAt} />],
          ["Last heard of", s.updatedAt && <Ago at={s.updatedAt} />],
          ["Acct-Session-Id", <Mono key="a">{s.acctSessionId}</Mono>],
          ["Kubernetes", <Mono key="k">{s.namespace}/{s.name}</Mono>],
        ]}
      />
    </Card>
  );
}

function History({ session }: { session: Session }) {
  const query = useSessionEvents(session.id, !session.ended);
  return (
    <Card title="Events" aside={session.ended ? undefined : <Badge tone="good">Following</Badge>}>
      <Answered query={query}>
        {(data) => (
          <>
            <Timeline events={data.pages.flatMap((page) => page.items)} />
            <div className="px-4 pb-3 empty:hidden">
              <More query={query} />
            </div>
          </>
        )}
      </Answered>
    </Card>
  );
}
