"use client";

import type { Policy } from "@/api/client";
import { usePolicies } from "@/api/queries";
import { duration, limit } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Ago, Card, Facts, Mono, PageHead } from "@/ui/basics";
import { Conditions, isFailing } from "@/ui/bng-card";
import { Answered, Empty } from "@/ui/states";

/** The part of a SubscriberPolicy's spec that is shown; the API hands the spec on as it was written. */
interface Spec {
  selector?: { filterId?: string; default?: boolean };
  rates?: { downKbps?: number; upKbps?: number };
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
          ["Filter-Id", <Mono key="f">{spec.selector?.filterId ?? policy.name}</Mono>],
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
