/** Figures for people. All of it pure: the time is an argument. */

const STEPS = ["", "k", "M", "G", "T", "P"] as const;

/** Three significant digits and a decimal prefix: `1234` → `1.23 k`. */
function scaled(value: number, unit: string): string {
  if (!Number.isFinite(value)) return "–";
  let step = 0;
  let rest = Math.abs(value);
  while (rest >= 999.5 && step < STEPS.length - 1) {
    rest /= 1000;
    step += 1;
  }
  const digits = step === 0 ? (Number.isInteger(rest) || rest >= 100 ? 0 : 1) : rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return `${value < 0 ? "−" : ""}${rest.toFixed(digits)} ${STEPS[step]}${unit}`;
}

/** Octets: `1536` → `1.54 kB`. */
export const octets = (value: number): string => scaled(value, "B");

/** A bit rate: `2e6` → `2.00 Mbit/s`. */
export const bitRate = (bitsPerSecond: number): string => scaled(bitsPerSecond, "bit/s");

/** A limit in kbit/s; `null` = none. */
export function limit(kbps: number | null): string {
  if (kbps === null) return "no limit";
  const [factor, unit] = kbps >= 1e6 ? [1e6, "Gbit/s"] : kbps >= 1000 ? [1000, "Mbit/s"] : [1, "kbit/s"];
  return `${Number((kbps / factor).toFixed(2))} ${unit}`;
}

/** A count with thin spaces between thousands. */
export const count = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** A round trip in microseconds: `840` → `0.84 ms`. */
export const roundTrip = (us: number | null): string => (us === null ? "–" : us < 1e6 ? `${(us / 1000).toFixed(us < 10_000 ? 2 : 0)} ms` : `${(us / 1e6).toFixed(1)} s`);

/** The two greatest units of a span: `93784` s → `1d 2h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n}${unit}`)
    .join(" ");
}

/** How long ago, or until: `12s ago`, `in 3m`. Only the greatest unit. */
export function relative(at: string | number | Date, now: number): string {
  const seconds = Math.round((now - new Date(at).getTime()) / 1000);
  if (Number.isNaN(seconds)) return "–";
  if (Math.abs(seconds) < 2) return "now";
  const text = duration(Math.abs(seconds)).split(" ")[0] ?? "";
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** A moment in local time, to the second, with the zone: `2026-11-23 14:05:09 GMT+1`. */
export function absolute(at: string | number | Date): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "–";
  const zone = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(date).find((p) => p.type === "timeZoneName");
  return `${stamp(date)} ${zone?.value ?? ""}`.trim();
}

/** A moment in local time, to the second. */
export function stamp(at: string | number | Date): string {
  const d = new Date(at);
  const two = (n: number) => n.toString().padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** `PENDING_AUTH` → `Pending auth`. */
export function words(constant: string): string {
  const text = constant.toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `DhcpReachable` → `DHCP reachable`. */
export function conditionName(type: string): string {
  const parts = type.replace(/([a-z])([A-Z])/g, "$1 $2").split(" ");
  const shown = parts.map((part, i) => (/^(dhcp|radius|bng)$/i.test(part) ? part.toUpperCase() : i ? part.toLowerCase() : part));
  return shown.join(" ");
}
