"use client";

import Link from "next/link";

import type { Session } from "@/api/client";
import { octets } from "@/lib/format";
import { Ago, Mono } from "./basics";
import { AuthBadge, StateBadge } from "./badge";
import { columnsOf } from "./table";

const column = columnsOf<Session>();

/** An address as a number, so that .9 comes before .10. */
export const ipOrder = (ip: string): number => ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

export const lineColumn = column.accessor("remoteId", {
  header: "Line",
  cell: ({ row: { original: s } }) => (
    <Link href={`/sessions/?id=${s.id}`} title={s.subscriber} className="font-medium text-ink group-hover:text-accent group-hover:underline">
      {s.remoteId || s.subscriber}
    </Link>
  ),
});
export const circuitColumn = column.accessor("circuitId", { header: "Circuit", cell: (c) => <Mono>{c.getValue()}</Mono> });
export const ipColumn = column.accessor((s) => ipOrder(s.ip), { id: "ip", header: "Address", sortFn: "basic", cell: ({ row }) => <Mono>{row.original.ip}</Mono> });
export const macColumn = column.accessor("mac", { header: "MAC", cell: (c) => <Mono>{c.getValue()}</Mono> });
export const bngColumn = column.accessor("bng", { header: "BNG" });
export const stateColumn = column.accessor("state", { header: "State", cell: (c) => <StateBadge state={c.getValue()} /> });
export const authColumn = column.accessor("auth", { header: "AAA", cell: (c) => <AuthBadge auth={c.getValue()} /> });
export const policyColumn = column.accessor((s) => s.policy ?? "", { id: "policy", header: "Policy", cell: (c) => c.getValue() || <span className="text-faint">–</span> });
export const downColumn = column.accessor((s) => s.counters.inputOctets, { id: "down#", header: "Down", sortFn: "basic", cell: (c) => octets(c.getValue()) });
export const upColumn = column.accessor((s) => s.counters.outputOctets, { id: "up#", header: "Up", sortFn: "basic", cell: (c) => octets(c.getValue()) });
export const startedColumn = column.accessor("startedAt", { id: "started", header: "Started", sortFn: "basic", cell: (c) => <Ago at={c.getValue()} /> });
export const sessionColumn = column;
