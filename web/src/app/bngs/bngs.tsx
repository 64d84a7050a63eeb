"use client";

import Link from "next/link";
import { useMemo } from "react";

import type { Bng, Health } from "@/api/client";
import { useBngs, useHealth } from "@/api/queries";
import { conditionName, count, duration, octets } from "@/lib/format";
import { useParam } from "@/lib/params";
import { Badge } from "@/ui/badge";
import { Ago, Card, Facts, Mono, PageHead, Select } from "@/ui/basics";
import { BngCard, TONES, verdict } from "@/ui/bng-card";
import { Chart } from "@/ui/chart";
import { Answered, Empty } from "@/ui/states";

/** All gateways; with `?bng=namespace/name` one. */
export function Bngs() {
  const query = useBngs();
  const [key] = useParam("bng");
  return (
    <Answered query={query}>
      {(bngs) => {
        const bng = bngs.find((b) => `${b.namespace}/${b.name}` === key);
        if (key && !bng) return <Empty title={`There is no gateway ${key}`}>It was never heard of, or its record is gone.</Empty>;
        return bng ? <Gateway bng={bng} /> : <All bngs={bngs} />;
      }}
    </Answered>
  );
}

function All({ bngs }: { bngs: Bng[] }) {
  const down = bngs.filter((b) => b.stale).length;
  return (
    <>
      <PageHead title="BNGs" note={down ? `${down} of ${bngs.length} down` : `${bngs.length} gateways, all heard of lately`} />
      {bngs.length === 0 && <Empty title="No gateway yet">Apply a BNG object; it appears here when it reports for the first time.</Empty>}
      <div className="grid gap-4">
        {bngs.map((bng) => (
          <div key={`${bng.namespace}/${bng.name}`} className="grid items-stretch gap-4 xl:grid-cols-[minmax(0,26rem)_minmax(0,1fr)]">
            <BngCard bng={bng} />
            <Card className="flex flex-col justify-center">
              <Load bng={bng} minutes={60} height={120} />
            </Card>
          </div>
        ))}
      </div>
    </>
  );
}

const SPANS: [string, string][] = [["15", "15 minutes"], ["60", "1 hour"], ["360", "6 hours"], ["1440", "24 hours"], ["10080", "7 days"]];

function Gateway({ bng }: { bng: Bng }) {
  const [minutes, setMinutes] = useParam("minutes");
  const span = Number(minutes) || 60;
  const [tone, text] = verdict(bng);
  return (
    <>
      <p className="pb-1 text-sm text-faint">
        <Link href="/bngs/" className="hover:text-ink hover:underline">
          ← BNGs
        </Link>
      </p>
      <PageHead title={bng.name} note={<span className="flex items-center gap-2">{bng.namespace} <Badge tone={tone}>{text}</Badge></span>}>
        <Select value={String(span)} onChange={setMinutes} label="Time span" options={SPANS} />
      </PageHead>
      {bng.stale && (
        <p role="alert" className="mb-4 rounded-md border border-bad/30 bg-bad-wash px-4 py-2.5 text-sm text-bad">
          Nothing was heard of this gateway for more than 60 seconds{bng.lastSeen && <>, last <Ago at={bng.lastSeen} /></>}. Everything below is what it said then.
        </p>
      )}
      <div className="grid gap-4">
        <Card>
          <Facts
            items={[
              ["Sessions", `${count(bng.sessions)} · ${count(bng.authorized)} authorized`],
              ["Node", bng.node],
              ["Uptime", bng.health && duration(bng.health.uptimeSeconds)],
              ["Last heard of", <Ago key="l" at={bng.lastSeen} />],
              ["First heard of", <Ago key="f" at={bng.firstSeen} />],
              ["Last event", bng.lastSeq === null ? null : `no. ${count(bng.lastSeq)}`],
              ["Journal", bng.instanceId && <Mono title={bng.instanceId}>{bng.instanceId.slice(0, 8)}…</Mono>],
            ]}
          />
        </Card>
        <HealthCharts bng={bng} minutes={span} />
        <ConditionTable bng={bng} />
      </div>
    </>
  );
}

function ConditionTable({ bng }: { bng: Bng }) {
  if (bng.conditions.length === 0) return null;
  return (
    <Card title="Conditions">
      <ul className="divide-y divide-line text-sm">
        {bng.conditions.map((c) => (
          <li key={c.type} className="grid gap-x-4 gap-y-1 px-4 py-2 sm:grid-cols-[12rem_6rem_11rem_1fr_6rem]">
            <span className="font-medium">{conditionName(c.type)}</span>
            <span>
              <Badge tone={bng.stale ? "quiet" : (TONES[c.status] ?? "quiet")}>{c.status}</Badge>
            </span>
            <Mono>{c.reason}</Mono>
            <span className="text-soft">{c.message}</span>
            <span className="text-faint sm:text-right">
              <Ago at={c.lastTransitionTime} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

const timesOf = (reports: Health[]) => reports.map((r) => Date.parse(r.at) / 1000);
const cores = (value: number) => `${value.toFixed(2)} cores`;
const people = (value: number) => (Number.isInteger(value) ? count(value) : "");

function HealthCharts({ bng, minutes }: { bng: Bng; minutes: number }) {
  const query = useHealth(bng.namespace, bng.name, minutes);
  const reports = query.data;
  const times = useMemo(() => timesOf(reports ?? []), [reports]);
  const charts = useMemo(() => chartsOf(reports ?? []), [reports]);
  return (
    <Answered query={query}>
      {(all) =>
        all.length === 0 ? (
          <Card>
            <Empty title="No health report in this time" />
          </Card>
        ) : (
          <div className="grid gap-4 xl:grid-cols-3">
            {charts.map(({ title, ...chart }) => (
              <Card key={title} title={title}>
                <Chart label={`${title} of ${bng.name}`} times={times} span={minutes * 60} {...chart} />
              </Card>
            ))}
          </div>
        )
      }
    </Answered>
  );
}

function chartsOf(reports: Health[]) {
  return [
    { title: "CPU", format: cores, floor: 0.05, series: [{ label: "In use", color: "--accent", values: reports.map((r) => r.cpuCores) }] },
    { title: "Memory", format: octets, floor: 1e6, series: [{ label: "In use", color: "--info", values: reports.map((r) => r.memoryBytes) }] },
    {
      title: "Sessions",
      format: people,
      floor: 4,
      series: [
        { label: "With an address", color: "--down", values: reports.map((r) => r.sessions) },
        { label: "Authorized", color: "--good", values: reports.map((r) => r.authorized) },
      ],
    },
  ];
}

function Load({ bng, minutes, height }: { bng: Bng; minutes: number; height: number }) {
  const { data } = useHealth(bng.namespace, bng.name, minutes);
  const times = useMemo(() => timesOf(data ?? []), [data]);
  const series = useMemo(() => [{ label: "CPU, last hour", color: "--accent", values: (data ?? []).map((r) => r.cpuCores) }], [data]);
  if (!data?.length) return <Empty title="No health report in the last hour" />;
  return <Chart label={`CPU of ${bng.name}`} times={times} series={series} format={cores} height={height} floor={0.05} span={minutes * 60} />;
}
