"use client";

import type { ReactNode } from "react";

import type { Policy } from "@/api/client";
import { usePolicies } from "@/api/queries";
import { duration, limit } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Ago, Card, Facts, Mono, PageHead } from "@/ui/basics";
import { Conditions, isFailing } from "@/ui/bng-card";
import { Answered, Empty } from "@/ui/states";

type Fact = [label: string, value: ReactNode];

/** The part of a SubscriberPolicy's spec that is shown; the API hands the spec on as it was written. */
interface Spec {
  selector?: { filterId?: string; circuitId?: string; remoteId?: string; userName?: string; priority?: number; default?: boolean };
  rates?: { downKbps?: number; upKbps?: number };
  enforcement?: string;
  access?: string;
  onReject?: string;
  walledGarden?: { destinations?: string[]; dnsServers?: string[]; portal?: { address: string; port?: number } };
  idleTimeoutSeconds?: number;
  sessionTimeoutSeconds?: number;
  interimSeconds?: number;
}

/** What kinds of subscribers get. */
export function Policies() {
  const query = usePolicies();
  return (
    <>
      <PageHead title="Policies" note={query.data && `${query.data.length} subscriber policies`} />
      <Answered query={query}>
        {(policies) =>
          policies.length ? (
            <div className="grid gap-4 lg:grid-cols-2">
              {policies.map((policy) => (
                <PolicyCard key={policy.uid} policy={policy} />
              ))}
            </div>
          ) : (
            <Card>
              <Empty title="No policy yet">Apply a SubscriberPolicy; a Filter-Id from RADIUS chooses it for a subscriber.</Empty>
            </Card>
          )
        }
      </Answered>
    </>
  );
}

function PolicyCard({ policy }: { policy: Policy }) {
  const spec = policy.spec as Spec;
  const never = (seconds: number | undefined, otherwise: string) => (seconds === undefined ? <span className="text-faint">{otherwise}</span> : duration(seconds));
  return (
    <Card
      title={
        <>
          <span className="font-normal text-faint">{policy.namespace}/</span>
          {policy.name}
        </>
      }
      aside={
        <>
          {spec.selector?.default && <Badge tone="info">Default</Badge>}
          {policy.phase && <Badge tone={policy.conditions.some(isFailing) ? "bad" : "good"}>{policy.phase}</Badge>}
        </>
      }
    >
      <Facts
        items={[
          ["Down", limit(spec.rates?.downKbps ?? null)],
          ["Up", limit(spec.rates?.upKbps ?? null)],
          ["Past the rates", spec.enforcement === "Shape" ? "shaped" : "dropped"],
          ["Filter-Id", <Mono key="f">{spec.selector?.filterId ?? policy.name}</Mono>],
          ...patterns(spec),
          ["Accepted", reach(spec.access, "full access")],
          ["Rejected", reach(spec.onReject, "nothing")],
          ...garden(spec),
          ["Idle timeout", never(spec.idleTimeoutSeconds, "never")],
          ["Session timeout", never(spec.sessionTimeoutSeconds, "never")],
          ["Interim accounting", never(spec.interimSeconds, "as the BNG")],
        ]}
      />
      <Conditions conditions={policy.conditions.filter((c) => c.type !== policy.phase)} />
      <p className="border-t border-line px-4 py-2 text-xs text-faint">
        generation {policy.generation} · seen by the operator <Ago at={policy.observedAt} />
      </p>
    </Card>
  );
}

/** Which subscribers it selects where no Filter-Id does. */
function patterns({ selector }: Spec): Fact[] {
  const all: [string, string | undefined][] = [
    ["Circuit", selector?.circuitId],
    ["Remote id", selector?.remoteId],
    ["User-Name", selector?.userName],
  ];
  const given = all.flatMap(([label, pattern]): Fact[] => (pattern === undefined ? [] : [[label, <Mono key={label}>{pattern}</Mono>]]));
  return selector?.priority ? [...given, ["Priority", selector.priority]] : given;
}

/** What confined subscribers reach. */
function garden({ walledGarden }: Spec): Fact[] {
  if (!walledGarden) return [];
  const { destinations = [], dnsServers = [], portal } = walledGarden;
  const lists: [string, string[]][] = [
    ["Garden", destinations],
    ["Garden DNS", dnsServers],
    ["Garden portal", portal ? [`${portal.address}:${portal.port ?? 80}`] : []],
  ];
  return lists.flatMap(([label, list]): Fact[] => (list.length ? [[label, <Mono key={label}>{list.join(", ")}</Mono>]] : []));
}

const reach = (what: string | undefined, otherwise: string) => (what === "WalledGarden" ? "walled garden" : otherwise);
