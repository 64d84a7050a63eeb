// Made-up data for the development server: two gateways, many subscribers, the same on every start but for the clock.
/** @typedef {import("../src/api/schema").components["schemas"]} S */

const MINUTE = 60_000;
const start = Date.now();
const iso = (/** @type {number} */ t) => new Date(t).toISOString();
let seed = 7;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
const uuid = (/** @type {number} */ n) => `0198${n.toString(16).padStart(4, "0")}-1234-7abc-8def-${n.toString(16).padStart(12, "0")}`;
let revision = 1000;

/** @param {number} n @param {boolean} past @returns {S["Session"]} */
function makeSession(n, past) {
  const bng = n % 3 === 0 ? "bng-02" : "bng-01";
  const router = `ar-0${(n % 2) + (bng === "bng-02" ? 3 : 1)}`;
  const line = `line-${String(n + 1).padStart(3, "0")}`;
  const circuitId = `${router}|1/${Math.floor(n / 4) + 1}`;
  const auth = n % 23 === 7 ? "REJECTED" : n % 41 === 5 ? "PENDING_AUTH" : "AUTHORIZED";
  const gold = n % 4 !== 0;
  const began = start - random() * 3 * 86_400_000;
  const down = Math.floor(random() ** 3 * 4e10);
  const up = Math.floor(down * (0.05 + random() * 0.2));
  const rejected = auth === "REJECTED";
  return {
    id: uuid(past ? n + 5000 : n),
    name: `s-${uuid(n)}`,
    namespace: "edge",
    bng,
    bngInstanceId: uuid(bng === "bng-01" ? 60001 : 60002),
    acctSessionId: (0x1a2b0000 + n).toString(16).toUpperCase(),
    subscriber: `${bng}/${line}/${circuitId.replace("/", "%2F")}`,
    circuitId,
    remoteId: line,
    router,
    giaddr: `100.64.${Number(router.slice(3))}.1`,
    mac: `02:4c:4d:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`,
    ip: `100.64.${Number(router.slice(3))}.${(n % 240) + 10}`,
    hostname: n % 3 ? `cpe-${n}` : null,
    state: past ? "EXPIRED" : rejected || n % 17 === 3 ? "PENDING" : n % 9 === 4 ? "IDLE" : "ACTIVE",
    auth,
    policy: auth === "AUTHORIZED" ? (gold ? "gold" : "silver") : null,
    downKbps: auth === "AUTHORIZED" ? (gold ? 100_000 : 20_000) : null,
    upKbps: auth === "AUTHORIZED" ? (gold ? 20_000 : 5_000) : null,
    counters: rejected ? { inputOctets: 0, outputOctets: 0, inputPackets: 0, outputPackets: 0 } : { inputOctets: down, outputOctets: up, inputPackets: Math.ceil(down / 1180), outputPackets: Math.ceil(up / 210) },
    startedAt: iso(began),
    updatedAt: past ? null : iso(start - random() * MINUTE),
    leaseExpiresAt: past ? null : iso(start + random() * 20 * MINUTE),
    ended: past ? { at: iso(Math.min(start - 1000, began + random() * (start - began))), cause: n % 3 ? "User-Request" : "Lost-Carrier", detail: n % 3 ? "DHCPRELEASE" : "lease expired", provisional: false } : null,
    revision: (revision += 1),
  };
}

const live = Array.from({ length: 240 }, (_, n) => makeSession(n, false)).sort((a, b) => b.startedAt.localeCompare(a.startedAt));
const past = Array.from({ length: 130 }, (_, n) => makeSession(n, true)).sort((a, b) => (b.ended?.at ?? "").localeCompare(a.ended?.at ?? ""));

/** One more change, for the stream. @returns {S["Session"]} */
export function change() {
  const active = live.filter((s) => s.state === "ACTIVE");
  const session = active[Math.floor(random() * active.length)] ?? makeSession(0, false);
  session.counters.inputOctets += Math.floor(random() * 4e6);
  session.counters.outputOctets += Math.floor(random() * 1e6);
  session.updatedAt = iso(Date.now());
  session.revision = revision += 1;
  return session;
}

const wave = (/** @type {number} */ t, /** @type {number} */ period) => (Math.sin(t / period) + 1) / 2;

/** @param {string} name @param {number} minutes @returns {S["Health"][]} */
function health(name, minutes) {
  const now = Date.now();
  const sessions = live.filter((s) => s.bng === name);
  return Array.from({ length: 240 }, (_, i) => {
    const at = now - ((240 - i) * minutes * MINUTE) / 240;
    const n = Math.round(sessions.length - 8 + 8 * wave(at, 1.1e6));
    return { at: iso(at), cpuCores: 0.06 + 0.11 * wave(at, 4e5) + random() * 0.02, memoryBytes: 41e6 + 6e6 * wave(at, 2e6) + random() * 3e5, sessions: n, authorized: n - 5, uptimeSeconds: 190_000 - Math.floor((now - at) / 1000) };
  });
}

/** @param {string} type @param {string} status @param {string} reason @param {string} message @returns {S["Condition"]} */
const condition = (type, status, reason, message) => ({ type, status, reason, message, lastTransitionTime: iso(start - 90 * MINUTE) });

/** @param {string} name @returns {S["Bng"]} */
function bng(name) {
  const mine = live.filter((s) => s.bng === name);
  const second = name === "bng-02";
  return {
    namespace: "edge",
    name,
    stale: name === "bng-03",
    phase: name === "bng-03" ? "Ready" : second ? "Degraded" : "Ready",
    node: name,
    conditions: [
      condition("Ready", second ? "False" : "True", second ? "DhcpUnreachable" : "AllGood", ""),
      condition("ConfigApplied", "True", "Applied", ""),
      condition("LinksReady", "True", "Up", "access0, uplink0 and dhcp0 are up"),
      condition("DhcpReachable", second ? "False" : "True", second ? "NoAnswer" : "Answers", second ? "10.231.1.2:67 has not answered for 18 s: check that the DHCP server runs and that its subnet knows this relay" : ""),
      condition("RadiusReachable", "True", "Answers", "Status-Server answered"),
      condition("EventsFlowing", "True", "Committed", ""),
    ],
    instanceId: uuid(second ? 60002 : 60001),
    lastSeq: 48_211,
    firstSeen: iso(start - 9 * 86_400_000),
    lastSeen: iso(name === "bng-03" ? start - 34 * MINUTE : Date.now() - 4000),
    sessions: mine.length,
    authorized: mine.filter((s) => s.auth === "AUTHORIZED").length,
    health: health(name, 60).at(-1) ?? null,
  };
}

/** @param {S["Session"]} s @returns {S["Event"][]} */
function eventsOf(s) {
  /** @type {[S["EventType"], Record<string, unknown>][]} */
  const list = [
    ["SESSION_START", { ...s }],
    ["POLICY_APPLY", { ...s, reason: s.auth === "REJECTED" ? "Access-Reject: no such line" : "Access-Accept", rates: { downKbps: s.downKbps, upKbps: s.upKbps } }],
    ["SESSION_UPDATE", { ...s }],
    ["SESSION_UPDATE", { ...s }],
  ];
  if (s.ended) list.push(["SESSION_STOP", { ...s }]);
  return list.map(([eventType, payload], i) => ({ namespace: s.namespace, bng: s.bng, bngInstanceId: s.bngInstanceId, seq: Number.parseInt(s.id.slice(-6), 16) * 10 + i + 1, ts: iso(Date.parse(s.startedAt) + i * 47_000), eventType, sessionId: s.id, payload })).reverse();
}

/** @returns {S["Event"][]} */
function allEvents() {
  /** @type {S["Event"][]} */
  const health = ["bng-01", "bng-02"].map((name, i) => ({ namespace: "edge", bng: name, bngInstanceId: uuid(60001 + i), seq: 48_211, ts: iso(Date.now() - 4000), eventType: "BNG_HEALTH_UPDATE", sessionId: null, payload: { cpuCores: 0.12, memoryBytes: 43e6, sessions: 120, authorized: 115, uptimeSeconds: 190_000 } }));
  /** @type {S["Event"]} */
  const router = { namespace: "edge", bng: "bng-01", bngInstanceId: uuid(60001), seq: 48_200, ts: iso(Date.now() - 61_000), eventType: "ROUTER_UPDATE", sessionId: null, payload: { name: "ar-02", alive: true, rttUs: 412 } };
  return [...health, router, ...[...live, ...past].flatMap(eventsOf)].sort((a, b) => b.ts.localeCompare(a.ts));
}

/** @returns {S["Overview"]} */
function overview() {
  const by = (/** @type {(s: S["Session"]) => boolean} */ f) => live.filter(f).length;
  const now = Date.now();
  const points = Array.from({ length: 12 }, (_, i) => ({ at: iso(now - (12 - i) * 5 * MINUTE), inputBps: 4.1e8 + 2.2e8 * wave(i, 2.1), outputBps: 0.6e8 + 0.3e8 * wave(i, 1.7) }));
  return {
    sessions: { total: live.length, pending: by((s) => s.state === "PENDING"), active: by((s) => s.state === "ACTIVE"), idle: by((s) => s.state === "IDLE"), pendingAuth: by((s) => s.auth === "PENDING_AUTH"), authorized: by((s) => s.auth === "AUTHORIZED"), rejected: by((s) => s.auth === "REJECTED") },
    bngs: { total: 3, up: 2, stale: 1 },
    routers: { total: 4, alive: 3 },
    throughput: { inputBps: points.at(-1)?.inputBps ?? 0, outputBps: points.at(-1)?.outputBps ?? 0, points },
    at: iso(now),
  };
}

/** @returns {S["TrafficPoint"][]} */
const traffic = () => Array.from({ length: 90 }, (_, i) => ({ at: iso(Date.now() - (90 - i) * MINUTE), inputOctets: i * 1e7, outputOctets: i * 1e6, inputBps: Math.max(0, 3.2e7 * wave(i, 9) + random() * 1e7 - 5e6), outputBps: 4e6 * wave(i, 7) + random() * 1e6 }));

/** @type {S["Router"][]} */
const routers = [1, 2, 3, 4].map((n) => ({ namespace: "edge", bng: n < 3 ? "bng-01" : "bng-02", name: `ar-0${n}`, giaddr: `100.64.${n}.1`, alive: n !== 4, rttUs: n === 4 ? null : 300 + n * 110, firstSeen: iso(start - 9 * 86_400_000), lastSeen: iso(start - (n === 4 ? 25 * MINUTE : 3000)), sessions: 60 }));

/** @param {string} name @param {number} i @param {Record<string, unknown>} spec @returns {S["Policy"]} */
const policy = (name, i, spec) => ({ namespace: "edge", name, uid: uuid(900 + i), generation: 1, phase: "Compiled", conditions: [condition("Compiled", "True", "Compiled", "")], spec, observedAt: iso(start) });
const policies = [
  policy("gold", 0, { rates: { downKbps: 100_000, upKbps: 20_000 }, enforcement: "Shape", idleTimeoutSeconds: 1800 }),
  policy("silver", 1, { selector: { default: true }, rates: { downKbps: 20_000, upKbps: 5_000 } }),
  policy("unpaid", 2, {
    selector: { remoteId: "line-*", priority: 10 },
    rates: { downKbps: 512, upKbps: 512 },
    onReject: "WalledGarden",
    walledGarden: { destinations: ["198.51.100.0/24"], dnsServers: ["198.51.100.53"], portal: { address: "198.51.100.80" } },
  }),
];

/** @template T @param {T[]} items @param {URL} url */
function page(items, url) {
  const limit = Number(url.searchParams.get("limit") ?? 100);
  const from = Number(url.searchParams.get("cursor") ?? 0);
  return { items: items.slice(from, from + limit), nextCursor: from + limit < items.length ? String(from + limit) : null };
}

/** The status and the body. @param {string} method @param {URL} url @returns {[number, unknown]} */
export function answer(method, url) {
  const [first = "", second = "", third = ""] = url.pathname.replace("/api/v1/", "").split("/");
  const session = [...live, ...past].find((s) => s.id === second);
  const type = url.searchParams.get("type");
  if (first === "me") return [200, { name: "system:serviceaccount:lastmile-system:dashboard", canDisconnect: true }];
  if (first === "overview") return [200, overview()];
  if (first === "sessions" && !second) return [200, page(live, url)];
  if (first === "sessions" && session) {
    if (method === "POST") return [409, { type: "about:blank", title: "Conflict", status: 409, detail: "The gateway bng-02 is being drained; the session ends with it." }];
    if (third === "traffic") return [200, { sessionId: session.id, points: traffic() }];
    return [200, third === "events" ? page(eventsOf(session), url) : session];
  }
  if (first === "history") return [200, page(past.filter((s) => (s.ended?.at ?? "") >= (url.searchParams.get("from") ?? "")), url)];
  if (first === "events") return [200, page(allEvents().filter((e) => !type || e.eventType === type), url)];
  if (first === "bngs") return [200, third ? page(health(third, Number(url.searchParams.get("minutes") ?? 60)), new URL("?limit=2000", url)) : page(["bng-01", "bng-02", "bng-03"].map(bng), url)];
  if (first === "routers") return [200, page(routers, url)];
  if (first === "policies") return [200, page(policies, url)];
  return [404, { type: "about:blank", title: "Not Found", status: 404, detail: `There is nothing at ${url.pathname}.` }];
}
