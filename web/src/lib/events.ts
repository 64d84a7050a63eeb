import type { Event, EventType } from "@/api/client";
import type { Tone } from "@/ui/badge";
import { duration, limit, octets, roundTrip, words } from "./format";

/** Payloads are the gateway's own words: nothing in them is taken for granted. */
type Loose = Record<string, unknown>;
const text = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const record = (value: unknown): Loose => (typeof value === "object" && value !== null ? (value as Loose) : {});
const sentence = (...parts: (string | undefined | false)[]): string => parts.filter(Boolean).join(" · ");

export const EVENT_NAMES: Record<EventType, string> = {
  SESSION_START: "Session start",
  SESSION_UPDATE: "Session update",
  SESSION_STOP: "Session stop",
  POLICY_APPLY: "Policy applied",
  ROUTER_UPDATE: "Router update",
  BNG_HEALTH_UPDATE: "BNG health",
};

/** Whom or what the event is about. */
export function subjectOf({ eventType, payload, sessionId, bng }: Event): string {
  if (eventType === "BNG_HEALTH_UPDATE") return bng;
  const p = record(payload);
  return text(eventType === "ROUTER_UPDATE" ? p["name"] : p["subscriber"]) ?? sessionId ?? "–";
}

/** What the event says, in one line. */
export function describe({ eventType, payload }: Pick<Event, "eventType" | "payload">): string {
  const p = record(payload);
  switch (eventType) {
    case "SESSION_START":
      return sentence(text(p["ip"]) && `got ${text(p["ip"])}`, text(p["mac"]), text(p["hostname"]));
    case "SESSION_UPDATE":
      return sentence(states(p), moved(p));
    case "SESSION_STOP": {
      const ended = record(p["ended"]);
      return sentence(text(ended["cause"]), text(ended["detail"]), moved(p), number(p["provisionalAfterSeq"]) !== undefined && "provisional");
    }
    case "POLICY_APPLY":
      return sentence(text(p["reason"]), text(p["policy"]) && `policy ${text(p["policy"])}`, rates(p));
    case "ROUTER_UPDATE":
      return sentence(text(p["name"]), p["alive"] === true ? "answers" : "does not answer", p["alive"] === true && number(p["rttUs"]) !== undefined && roundTrip(number(p["rttUs"]) ?? null));
    case "BNG_HEALTH_UPDATE":
      return sentence(
        `${(number(p["cpuCores"]) ?? 0).toFixed(2)} cores`,
        octets(number(p["memoryBytes"]) ?? 0),
        `${number(p["sessions"]) ?? 0} sessions`,
        `up ${duration(number(p["uptimeSeconds"]) ?? 0)}`,
      );
  }
}

/** Whether the event is good or bad news. */
export function toneOf({ eventType, payload }: Pick<Event, "eventType" | "payload">): Tone {
  const p = record(payload);
  if (eventType === "SESSION_START") return "info";
  if (eventType === "SESSION_STOP") return "warn";
  if (eventType === "POLICY_APPLY") return p["auth"] === "REJECTED" ? "bad" : "good";
  if (eventType === "ROUTER_UPDATE") return p["alive"] === true ? "good" : "bad";
  return "quiet";
}

const states = (p: Loose) => sentence(text(p["state"]) && words(String(p["state"])), text(p["auth"]) && words(String(p["auth"])).toLowerCase());

function moved(p: Loose): string {
  const counters = record(p["counters"]);
  return `↓ ${octets(number(counters["inputOctets"]) ?? 0)} ↑ ${octets(number(counters["outputOctets"]) ?? 0)}`;
}

function rates(p: Loose): string | undefined {
  const { downKbps, upKbps } = record(p["rates"]);
  if (number(downKbps) === undefined && number(upKbps) === undefined) return undefined;
  return `↓ ${limit(number(downKbps) ?? null)} ↑ ${limit(number(upKbps) ?? null)}`;
}
