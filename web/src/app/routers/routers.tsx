"use client";

import { useMemo } from "react";

import type { Router } from "@/api/client";
import { useRouters } from "@/api/queries";
import { count, roundTrip } from "@/lib/format";
import { useParam } from "@/lib/params";
import { Badge } from "@/ui/badge";
import { Ago, Card, Mono, More, PageHead, SearchField } from "@/ui/basics";
import { ipOrder } from "@/ui/session-columns";
import { Answered, Empty } from "@/ui/states";
import { columnsOf, DataTable } from "@/ui/table";
import Link from "next/link";

const column = columnsOf<Router>();
const columns = [
  column.accessor("name", {
    header: "Router",
    cell: ({ row: { original: r } }) => (
      <Link href={`/sessions/?q=${encodeURIComponent(r.name)}`} className="font-medium group-hover:text-accent group-hover:underline">
        {r.name}
      </Link>
    ),
  }),
  column.accessor((r) => String(r.alive), { id: "alive", header: "State", cell: ({ row }) => (row.original.alive ? <Badge tone="good">Answers</Badge> : <Badge tone="bad">Silent</Badge>) }),
  column.accessor((r) => ipOrder(r.giaddr ?? ""), { id: "giaddr", header: "Relay address", sortFn: "basic", cell: ({ row }) => <Mono>{row.original.giaddr ?? "–"}</Mono> }),
  column.accessor("bng", { header: "BNG", cell: ({ row: { original: r } }) => <Link href={`/bngs/?bng=${r.namespace}/${r.bng}`} className="hover:text-accent hover:underline">{r.bng}</Link> }),
  column.accessor("sessions", { id: "sessions#", header: "Sessions", sortFn: "basic", cell: (c) => count(c.getValue()) }),
  column.accessor((r) => r.rttUs ?? Infinity, { id: "rtt#", header: "Round trip", sortFn: "basic", cell: ({ row }) => roundTrip(row.original.rttUs) }),
  column.accessor("lastSeen", { id: "seen", header: "Last seen", sortFn: "basic", cell: (c) => <Ago at={c.getValue()} /> }),
  column.accessor("firstSeen", { id: "first", header: "Discovered", sortFn: "basic", cell: (c) => <Ago at={c.getValue()} /> }),
];

/** Access routers as their gateways see them. */
export function Routers() {
  const query = useRouters();
  const [q, setQ] = useParam("q");
  const all = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const rows = useMemo(() => all.filter((r) => `${r.name} ${r.giaddr} ${r.bng}`.toLowerCase().includes(q.trim().toLowerCase())), [all, q]);
  const silent = all.filter((r) => !r.alive).length;
  return (
    <>
      <PageHead title="Access routers" note={query.data && `${count(all.length)} discovered${silent ? `, ${silent} silent` : ", all answer"}`}>
        <SearchField value={q} onChange={setQ} label="Search name, address, BNG" />
        <More query={query} />
      </PageHead>
      <Card className="flex min-h-40 flex-col overflow-hidden">
        <Answered query={query}>
          {() =>
            rows.length ? (
              <DataTable label="Access routers" columns={columns} rows={rows} rowId={(r) => `${r.namespace}/${r.bng}/${r.name}/${r.giaddr}`} sort={[{ id: "name", desc: false }]} />
            ) : (
              <Empty title={q ? "No router matches" : "No access router yet"}>{q ? undefined : "Routers are discovered from the DHCP traffic that comes through them."}</Empty>
            )
          }
        </Answered>
      </Card>
    </>
  );
}
