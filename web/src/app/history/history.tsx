"use client";

import { useRouter } from "next/navigation";
import { useMemo } from "react";

import { type HistoryFilter, useBngs, useHistory } from "@/api/queries";
import { count, duration } from "@/lib/format";
import { setParams, useParam } from "@/lib/params";
import { Ago, Card, DateTimeField, More, PageHead, SearchField, Select } from "@/ui/basics";
import * as c from "@/ui/session-columns";
import { Answered, Empty } from "@/ui/states";
import { DataTable } from "@/ui/table";

const columns = [
  c.lineColumn,
  c.circuitColumn,
  c.ipColumn,
  c.macColumn,
  c.bngColumn,
  c.authColumn,
  c.policyColumn,
  c.downColumn,
  c.upColumn,
  c.sessionColumn.accessor((s) => s.ended?.cause ?? "", { id: "cause", header: "Cause", cell: ({ row }) => <span title={row.original.ended?.detail}>{row.original.ended?.cause}</span> }),
  c.sessionColumn.accessor((s) => Date.parse(s.ended?.at ?? "") - Date.parse(s.startedAt), { id: "lasted#", header: "Lasted", sortFn: "basic", cell: (x) => duration(x.getValue() / 1000) }),
  c.startedColumn,
  c.sessionColumn.accessor((s) => s.ended?.at ?? "", { id: "ended", header: "Ended", sortFn: "basic", cell: ({ row }) => <Ago at={row.original.ended?.at ?? null} /> }),
];

const HOURS: [string, string][] = [["1", "Last hour"], ["24", "Last 24 hours"], ["168", "Last 7 days"], ["720", "Last 30 days"], ["all", "All time"], ["custom", "From – to"]];
const MINUTE = 60_000;

/** Sessions that ended, by time. */
export function History() {
  const router = useRouter();
  const bngs = useBngs();
  const [q, setQ] = useParam("q");
  const [bng, setBng] = useParam("bng");
  const [span] = useParam("span");
  const [from, setFrom] = useParam("from");
  const [to, setTo] = useParam("to");
  const shown = span || "24";
  const filter = useMemo(() => filterOf({ q, bng, span: shown, from, to }), [q, bng, shown, from, to]);
  const query = useHistory(filter);
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const names = (bngs.data ?? []).map((b): [string, string] => [`${b.namespace}/${b.name}`, `${b.namespace}/${b.name}`]);

  return (
    <>
      <PageHead title="History" note={query.data && `${count(rows.length)}${query.hasNextPage ? "+" : ""} sessions`}>
        <SearchField value={q} onChange={setQ} label="Search line, circuit, address, MAC …" />
        <Select value={bng} onChange={setBng} label="BNG" options={[["", "All BNGs"], ...names]} />
        <Select value={shown} onChange={(value) => setParams({ span: value, from: "", to: "" })} label="Time range" options={HOURS} />
        {shown === "custom" && (
          <>
            <DateTimeField value={from} onChange={setFrom} label="From" />
            <DateTimeField value={to} onChange={setTo} label="To" />
          </>
        )}
      </PageHead>
      <Card className="flex min-h-40 flex-col overflow-hidden">
        <Answered query={query}>
          {() =>
            rows.length ? (
              <DataTable
                label="Sessions of the past"
                columns={columns}
                rows={rows}
                rowId={(s) => s.id}
                sort={[{ id: "ended", desc: true }]}
                onOpen={(s) => router.push(`/sessions/?id=${s.id}`)}
              />
            ) : (
              <Empty title="No session ended in this time">Choose a longer time range, or change the search.</Empty>
            )
          }
        </Answered>
      </Card>
      <div className="flex justify-center pt-2 empty:hidden">
        <More query={query} />
      </div>
    </>
  );
}

interface Choice {
  q: string;
  bng: string;
  span: string;
  from: string;
  to: string;
}

/** The API's filter; a relative span starts at a full minute, so that the question stays the same for a while. */
function filterOf({ q, bng, span, from, to }: Choice): HistoryFilter {
  const filter: HistoryFilter = {};
  if (q.trim()) filter.q = q.trim();
  if (bng) filter.bng = bng;
  if (span === "custom") {
    if (from) filter.from = new Date(from).toISOString();
    if (to) filter.to = new Date(to).toISOString();
  } else if (span !== "all") {
    const hours = Number(span) || 24;
    filter.from = new Date(Math.floor(Date.now() / MINUTE) * MINUTE - hours * 60 * MINUTE).toISOString();
  }
  return filter;
}
