"use client";

import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";

import { stamp } from "@/lib/format";
import { useTheme } from "./theme";

export interface Series {
  label: string;
  /** A custom property of the palette, e.g. `--down`. */
  color: string;
  values: (number | null)[];
}

interface Props {
  /** What the chart shows, for screen readers. */
  label: string;
  /** Seconds since the epoch, ascending. */
  times: number[];
  series: Series[];
  format: (value: number) => string;
  height?: number;
  /** The greatest value that the axis shows at least. */
  floor?: number;
  /** Seconds that the time axis shows at least, to the latest point. */
  span?: number;
  /** Each value holds for the time before its point, not from point to point. */
  stepped?: boolean;
}

/** Lines over time, with the values below the pointer in the legend; without a pointer, the latest. */
export function Chart({ label, times: given, series: lines, format, height = 180, floor = 1, span = 300, stepped = false }: Props) {
  const { times, series } = useMemo(() => drawable(given, lines, span), [given, lines, span]);
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const [theme] = useTheme();
  const shape = series.map((s) => s.label + s.color).join();

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(options(element, { series, format, height, floor, span, stepped }, setAt), [[]], element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
    // The data follow in the next effect; a new palette or new lines need a new plot.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [theme, shape, height, span]);

  useEffect(() => {
    plot.current?.setData([times, ...series.map((s) => s.values)]);
  }, [times, series, theme, shape, height, span]);

  const index = at ?? times.length - 1;
  const moment = times[index];
  return (
    <figure className="px-3 pt-2 pb-1">
      <figcaption className="flex flex-wrap items-baseline gap-x-4 px-1 pb-1 text-xs text-faint">
        {series.map((s) => (
          <span key={s.label} className="flex items-baseline gap-1.5">
            <span aria-hidden className="inline-block h-0.5 w-3 -translate-y-1" style={{ background: `var(${s.color})` }} />
            {s.label}
            <b className="tnum font-medium text-ink">{valueText(s.values[index], format)}</b>
          </span>
        ))}
        <span className="tnum ml-auto">{moment === undefined ? "" : stamp(moment * 1000)}</span>
      </figcaption>
      <div ref={host} role="img" aria-label={`${label}. ${series.map((s) => `${s.label} ${valueText(s.values.at(-1), format)}`).join(", ")}.`} />
    </figure>
  );
}

const valueText = (value: number | null | undefined, format: (value: number) => string) => (value == null ? "–" : format(value));

type Look = Required<Pick<Props, "series" | "format" | "height" | "floor" | "span" | "stepped">>;

const steps = uPlot.paths.stepped?.({ align: -1 });

function options(host: HTMLElement, { series, format, height, floor, span, stepped }: Look, hover: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(host);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--faint"), font: `11px ${style.fontFamily}`, ticks: { show: false }, grid: { stroke: color("--line"), width: 1 } };
  return {
    width: host.clientWidth,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { x: { time: true, range: (_plot, first, last) => windowOf(first, last, span) }, y: { range: (_plot, _low, high) => [0, Math.max(floor, (high ?? 0) * 1.1)] } },
    axes: [
      { ...axis, space: 80, size: 26, gap: 6, values: clock },
      { ...axis, size: 76, space: 34, values: (_plot, splits) => splits.map((v) => format(v)) },
    ],
    series: [
      {},
      ...series.map((s) => ({ label: s.label, stroke: color(s.color), ...(stepped && { paths: steps }), width: 1.75, fill: `color-mix(in srgb, ${color(s.color)} 9%, transparent)`, points: { show: s.values.length < 3, size: 5, fill: color(s.color) } })),
    ],
    hooks: { setCursor: [(plot: uPlot) => hover(plot.cursor.idx ?? null)] },
  };
}

/** One point alone has no time axis: it gets an empty one before it. */
function drawable(times: number[], series: Series[], span: number): { times: number[]; series: Series[] } {
  const [only] = times;
  if (only === undefined || times.length > 1) return { times, series };
  return { times: [only - span, only], series: series.map((s) => ({ ...s, values: [null, ...s.values] })) };
}

/** At least `span` seconds up to the last point. */
function windowOf(first: number | null, last: number | null, span: number): [number, number] {
  const end = last ?? Date.now() / 1000;
  return [Math.min(first ?? end, end - span), end];
}

/** Hours and minutes; seconds where the labels are closer than a minute. */
function clock(_plot: uPlot, splits: number[]): string[] {
  const fine = splits.length > 1 && (splits[1] ?? 0) - (splits[0] ?? 0) < 60;
  return splits.map((s) => stamp(s * 1000).slice(11, fine ? 19 : 16));
}
