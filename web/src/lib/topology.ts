import type { Bng, Router, Session } from "@/api/client";
import { bngKey } from "./search";

export interface RouterNode {
  name: string;
  /** What its gateway knows of it; `null` = sessions name it, but it was not discovered. */
  router: Router | null;
  sessions: Session[];
}

export interface BngNode {
  key: string;
  /** `null` = sessions name it, but it was never heard of. */
  bng: Bng | null;
  routers: RouterNode[];
}

/** Who hangs on whom: gateways, their access routers, their sessions; each level in the order of names. */
export function topologyOf(bngs: readonly Bng[], routers: readonly Router[], sessions: readonly Session[]): BngNode[] {
  const nodes = new Map<string, { bng: Bng | null; routers: Map<string, RouterNode> }>();
  const node = (key: string) => nodes.get(key) ?? put(nodes, key, { bng: null, routers: new Map<string, RouterNode>() });
  const below = (key: string, name: string) => node(key).routers.get(name) ?? put(node(key).routers, name, { name, router: null, sessions: [] });

  for (const bng of bngs) node(bngKey({ namespace: bng.namespace, bng: bng.name })).bng = bng;
  for (const router of routers) below(bngKey(router), router.name).router = router;
  for (const session of sessions) below(bngKey(session), session.router).sessions.push(session);

  return [...nodes]
    .map(([key, { bng, routers: map }]) => ({ key, bng, routers: [...map.values()].map(inOrder).sort(byName) }))
    .sort((a, b) => compare(a.key, b.key));
}

const compare = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
const byName = (a: RouterNode, b: RouterNode) => compare(a.name, b.name);
const inOrder = (node: RouterNode): RouterNode => ({ ...node, sessions: node.sessions.toSorted((a, b) => compare(a.circuitId, b.circuitId)) });

function put<V>(map: Map<string, V>, key: string, value: V): V {
  map.set(key, value);
  return value;
}
