"use client";

import { useRouter } from "next/navigation";
import { useMemo } from "react";

import { LIVE_LIMIT, type StreamState, useLiveSessions } from "@/api/live";
import { useBngs } from "@/api/queries";
import { count } from "@/lib/format";
import { setParams, useParam } from "@/lib/params";
import { bngKey, matches } from "@/lib/search";
import { Badge } from "@/ui/badge";
import { Ago, Button, Card, PageHead, SearchField, Select } from "@/ui/basics";
import * as c from "@/ui/session-columns";
import { Empty, Failure, Loading } from "@/ui/states";
import { DataTable } from "@/ui/table";
import { SessionDetail } from "./detail";

const columns = [
  c.lineColumn,
  c.circuitColumn,
  c.ipColumn,
  c.macColumn,
  c.bngColumn,
  c.stateColumn,
  c.authColumn,
  c.policyColumn,
  c.downColumn,
  c.upColumn,
  c.startedColumn,
  c.sessionColumn.accessor((s) => s.updatedAt ?? "", { id: "heard", header: "Heard", sortFn: "basic", cell: ({ row }) => <Ago at={row.original.updatedAt} /> }),
];

/** The live list; with `?id=` one session. */
export function Sessions() {
  const [id] = useParam("id");
  return id ? <SessionDetail id={id} /> : <SessionList />;
}

function SessionList() {
  const router = useRouter();
  const live = useLiveSessions();
  const bngs = useBngs();
  const [q, setQ] = useParam("q");
  const [bng, setBng] = useParam("bng");
  const [state, setState] = useParam("state");
  const [auth, setAuth] = useParam("auth");
  const rows = useMemo(() => live.sessions.filter((s) => matches(s, { q, bng, state, auth })), [live.sessions, q, bng, state, auth]);
  const names = (bngs.data ?? []).map((b) => bngKey({ namespace: b.namespace, bng: b.name }));
  const filtered = Boolean(q || bng || state || auth);

  return (
    <>
      <PageHead
        title="Sessions"
        note={
          live.loaded && (
            <span className="tnum flex items-center gap-3" aria-live="polite">
              {filtered ? `${count(rows.length)} of ${count(live.sessions.length)}` : `${count(live.sessions.length)} online`}
              <StreamBadge state={live.stream} />
            </span>
          )
        }
      >
        <SearchField value={q} onChange={setQ} label="Search line, circuit, address, MAC …" />
        <Select value={bng} onChange={setBng} label="BNG" options={[["", "All BNGs"], ...names.map((n): [string, string] => [n, n])]} />
        <Select value={state} onChange={setState} label="State" options={[["", "Any state"], ["PENDING", "Pending"], ["ACTIVE", "Active"], ["IDLE", "Idle"]]} />
        <Select value={auth} onChange={setAuth} label="AAA" options={[["", "Any AAA state"], ["AUTHORIZED", "Authorized"], ["PENDING_AUTH", "Pending auth"], ["REJECTED", "Rejected"]]} />
        {filtered && <Button onClick={() => setParams({ q: "", bng: "", state: "", auth: "" })}>Clear</Button>}
      </PageHead>
      {live.error && <Failure error={live.error} />}
      {live.truncated && <p className="pb-2 text-sm text-warn">Only the latest {count(LIVE_LIMIT)} sessions are shown here.</p>}
      <Card className="flex min-h-40 flex-col overflow-hidden">
        {!live.loaded ? (
          !live.error && <Loading label="Reading the sessions" />
        ) : rows.length ? (
          <DataTable
            label="Live sessions"
            columns={columns}
            rows={rows}
            rowId={(s) => s.id}
            sort={[{ id: "started", desc: true }]}
            onOpen={(s) => router.push(`/sessions/?id=${s.id}`)}
          />
        ) : filtered ? (
          <Empty title="No session matches">Change the search or clear the filters.</Empty>
        ) : (
          <Empty title="Nobody is online">A session appears here as soon as a gateway hands out an address.</Empty>
        )}
      </Card>
    </>
  );
}

function StreamBadge({ state }: { state: StreamState }) {
  if (state === "live") return <Badge tone="good" title="Changes appear as they happen">Live</Badge>;
  return <Badge tone="warn">{state === "lost" ? "Reconnecting" : "Connecting"}</Badge>;
}
