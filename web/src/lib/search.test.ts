import { describe, expect, it } from "vitest";

import type { Session } from "@/api/client";
import { describe as sentence } from "./events";
import { matches } from "./search";
import { tokenOfFragment } from "./token";

const session = { namespace: "edge", bng: "bng-01", state: "ACTIVE", auth: "AUTHORIZED", remoteId: "line-01", circuitId: "ar-01|1/1", ip: "100.64.1.10", mac: "02:00:00:00:00:01" } as Session;
const none = { q: "", bng: "", state: "", auth: "" };

describe("search", () => {
  it("wants every word, wherever it stands", () => {
    expect(matches(session, { ...none, q: "LINE-01 ar-01" })).toBe(true);
    expect(matches(session, { ...none, q: "line-01 ar-02" })).toBe(false);
  });
  it("filters by gateway, state and AAA", () => {
    expect(matches(session, { ...none, bng: "edge/bng-01", state: "ACTIVE", auth: "AUTHORIZED" })).toBe(true);
    expect(matches(session, { ...none, bng: "other/bng-01" })).toBe(false);
  });
});

describe("events", () => {
  it("survive payloads of any shape", () => {
    expect(sentence({ eventType: "POLICY_APPLY", payload: { reason: "Access-Accept", policy: "gold", rates: { downKbps: 100_000 } } })).toBe(
      "Access-Accept · policy gold · ↓ 100 Mbit/s ↑ no limit",
    );
    expect(() => sentence({ eventType: "SESSION_STOP", payload: { ended: 7, counters: null } })).not.toThrow();
  });
});

describe("token", () => {
  it("comes from the fragment alone", () => {
    expect(tokenOfFragment("#token=abc.def-_")).toBe("abc.def-_");
    expect(tokenOfFragment("#other=1")).toBeNull();
  });
});
