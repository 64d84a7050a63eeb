"use client";

import Link from "next/link";
import { useMemo } from "react";

import type { Event, EventType } from "@/api/client";
import { useBngs, useEvents } from "@/api/queries";
import { describe, EVENT_NAMES, subjectOf, toneOf } from "@/lib/events";
import { count } from "@/lib/format";
import { useParam } from "@/lib/params";
import { Badge } from "@/ui/badge";
import { Ago, Card, More, PageHead, Select } from "@/ui/basics";
import { Answered, Empty } from "@/ui/states";
import { columnsOf, DataTable } from "@/ui/table";

const column = columnsOf<Event>();
const columns = [
  column.accessor("eventType", { header: "Event", cell: ({ row: { original: e } }) => <Badge tone={toneOf(e)}>{EVENT_NAMES[e.eventType]}</Badge> }),
  column.accessor("bng", { header: "BNG" }),
  column.accessor("seq", { id: "seq#", header: "No.", sortFn: "basic", cell: (c) => count(c.getValue()) }),
  column.accessor((e) => subjectOf(e), {
    id: "subject",
    header: "About",
    cell: ({ row: { original: e } }) =>
      e.sessionId ? (
        <Link href={`/sessions/?id=${e.sessionId}`} className="font-medium group-hover:text-accent group-hover:underline">
          {subjectOf(e)}
        </Link>
      ) : (
        <span className="text-soft">{subjectOf(e)}</span>
      ),
  }),
  column.accessor((e) => describe(e), { id: "what", header: "What", enableSorting: false, cell: (c) => <span title={String(c.getValue())} className="text-soft">{c.getValue()}</span> }),
  column.accessor("ts", { id: "when", header: "When", sortFn: "basic", cell: (c) => <Ago at={c.getValue()} /> }),
];

/** What the gateways said, the latest first. */
export function Events() {
  const bngs = useBngs();
  const [type, setType] = useParam("type");
  const [bng, setBng] = useParam("bng");
  const query = useEvents({ ...(type in EVENT_NAMES && { type: type as EventType }), ...(bng && { bng }) });
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const names = (bngs.data ?? []).map((b): [string, string] => [`${b.namespace}/${b.name}`, `${b.namespace}/${b.name}`]);
  return (
    <>
      <PageHead title="Events" note="What the gateways said, the latest first">
        <Select value={type} onChange={setType} label="Kind of event" options={[["", "All kinds"], ...Object.entries(EVENT_NAMES)]} />
        <Select value={bng} onChange={setBng} label="BNG" options={[["", "All BNGs"], ...names]} />
        <More query={query} />
      </PageHead>
      <Card className="flex min-h-40 flex-col overflow-hidden">
        <Answered query={query}>
          {() =>
            rows.length ? (
              <DataTable label="Events" columns={columns} rows={rows} rowId={(e) => `${e.bngInstanceId}/${e.seq}`} sort={[{ id: "when", desc: true }]} />
            ) : (
              <Empty title="No event of this kind yet" />
            )
          }
        </Answered>
      </Card>
    </>
  );
}
