import { describe, expect, it } from "vitest";

import type { Bng, Router, Session } from "@/api/client";
import { topologyOf } from "./topology";

const bng = (name: string) => ({ namespace: "edge", name }) as Bng;
const router = (bngName: string, name: string) => ({ namespace: "edge", bng: bngName, name }) as Router;
const session = (bngName: string, routerName: string, circuitId: string) => ({ namespace: "edge", bng: bngName, router: routerName, circuitId }) as Session;

describe("topology", () => {
  it("hangs sessions on routers and routers on gateways, in the order of names", () => {
    const tree = topologyOf(
      [bng("bng-10"), bng("bng-9")],
      [router("bng-9", "ar-02"), router("bng-9", "ar-01")],
      [session("bng-9", "ar-01", "1/10"), session("bng-9", "ar-01", "1/9")],
    );
    expect(tree.map((b) => b.key)).toEqual(["edge/bng-9", "edge/bng-10"]);
    expect(tree[0]?.routers.map((r) => r.name)).toEqual(["ar-01", "ar-02"]);
    expect(tree[0]?.routers[0]?.sessions.map((s) => s.circuitId)).toEqual(["1/9", "1/10"]);
  });

  it("shows what only sessions know of", () => {
    const [node] = topologyOf([], [], [session("lost", "ar-07", "1/1")]);
    expect(node).toMatchObject({ key: "edge/lost", bng: null, routers: [{ name: "ar-07", router: null }] });
  });
});
