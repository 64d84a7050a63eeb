"use client";

import Link from "next/link";

import type { Bng, Condition } from "@/api/client";
import { conditionName, count, duration, octets } from "@/lib/format";
import { Badge, type Tone } from "./badge";
import { Ago } from "./basics";

/** A gateway that is not heard of is down, whatever Kubernetes still says of it. */
export function verdict(bng: Bng): [tone: Tone, text: string] {
  if (bng.stale) return ["bad", bng.lastSeen ? "Down" : "Never heard of"];
  const failing = bng.conditions.filter(isFailing).length;
  if (failing) return ["warn", bng.phase && bng.phase !== "Ready" ? bng.phase : "Degraded"];
  return ["good", bng.phase ?? "Up"];
}

/** All conditions of a gateway are good when True. */
export const isFailing = (condition: Condition): boolean => condition.status === "False" && condition.type !== "Draining";

/** A gateway's health in short. */
export function BngCard({ bng }: { bng: Bng }) {
  const [tone, text] = verdict(bng);
  const key = `${bng.namespace}/${bng.name}`;
  const { health } = bng;
  return (
    <article aria-label={`BNG ${key}`} data-bng={key} className="min-w-0 rounded-lg border border-line bg-surface shadow-card">
      <header className="flex items-center gap-2 border-b border-line px-4 py-2.5">
        <h2 className="grow truncate text-sm font-semibold">
          <Link href={`/bngs/?bng=${key}`} className="hover:text-accent hover:underline">
            <span className="font-normal text-faint">{bng.namespace}/</span>
            {bng.name}
          </Link>
        </h2>
        <Badge tone={tone}>{text}</Badge>
      </header>
      <dl className={`grid grid-cols-4 gap-3 px-4 py-3 ${bng.stale ? "text-faint" : ""}`}>
        <Figure label="Sessions" value={count(bng.sessions)} note={`${count(bng.authorized)} auth.`} />
        <Figure label="CPU" value={health ? health.cpuCores.toFixed(2) : "–"} note="cores" />
        <Figure label="Memory" value={health ? octets(health.memoryBytes) : "–"} />
        <Figure label="Uptime" value={health ? duration(health.uptimeSeconds) : "–"} />
      </dl>
      <Conditions conditions={bng.conditions.filter((c) => c.type !== "Ready")} stale={bng.stale} />
      <footer className="flex justify-between gap-2 border-t border-line px-4 py-2 text-xs text-faint">
        <span>{bng.node ? `node ${bng.node}` : "no node"}</span>
        <span>
          heard <Ago at={bng.lastSeen} />
        </span>
      </footer>
    </article>
  );
}

function Figure({ label, value, note }: { label: string; value: string; note?: string }) {
  return (
    <div className="min-w-0">
      <dt className="text-2xs text-faint">{label}</dt>
      <dd className="tnum truncate font-semibold">{value}</dd>
      {note && <dd className="tnum truncate text-2xs text-faint">{note}</dd>}
    </div>
  );
}

/** How a condition with such a status is taken. */
export const TONES: Record<string, Tone> = { True: "good", False: "bad" };

/** Every condition as a badge; its reason and message as the title. What a silent gateway last said counts for nothing now. */
export function Conditions({ conditions, stale = false }: { conditions: Condition[]; stale?: boolean }) {
  if (conditions.length === 0) return null;
  return (
    <ul aria-label="Conditions" className="flex flex-wrap gap-1.5 px-4 pb-3">
      {conditions.map((c) => (
        <li key={c.type}>
          <Badge tone={stale ? "quiet" : (TONES[c.status] ?? "quiet")} title={`${c.type} ${stale ? "was" : "is"} ${c.status}. ${c.reason ?? ""}${c.message ? `: ${c.message}` : ""}`}>
            {conditionName(c.type)}
            {c.status !== "True" && <span className="sr-only">: {c.status}</span>}
          </Badge>
        </li>
      ))}
    </ul>
  );
}
