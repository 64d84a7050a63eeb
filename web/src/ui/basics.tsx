"use client";

import type { ReactNode } from "react";

import { absolute, relative } from "@/lib/format";
import { useNow } from "@/lib/now";

export function Card({ title, aside, children, className = "" }: { title?: ReactNode; aside?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`min-w-0 rounded-lg border border-line bg-surface shadow-card ${className}`}>
      {title && (
        <header className="flex min-h-10 items-center gap-3 border-b border-line px-4 py-2">
          <h2 className="grow text-sm font-semibold">{title}</h2>
          {aside}
        </header>
      )}
      {children}
    </section>
  );
}

/** A page's title, what it is about, and its tools. */
export function PageHead({ title, note, children }: { title: ReactNode; note?: ReactNode; children?: ReactNode }) {
  return (
    <header className="flex flex-wrap items-center gap-x-4 gap-y-2 pb-3">
      <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
      {note && <div className="text-sm text-faint">{note}</div>}
      <div className="ml-auto flex flex-wrap items-center gap-2">{children}</div>
    </header>
  );
}

export function Stat({ label, value, note, tone = "" }: { label: string; value: ReactNode; note?: ReactNode; tone?: string }) {
  return (
    <div className="min-w-0 px-4 py-3">
      <dt className="text-2xs font-medium tracking-wide text-faint uppercase">{label}</dt>
      <dd className={`truncate text-2xl font-semibold tracking-tight ${tone}`}>{value}</dd>
      {note && <dd className="tnum truncate text-xs text-faint">{note}</dd>}
    </div>
  );
}

/** How long ago, with the moment itself as the title. */
export function Ago({ at }: { at: string | null }) {
  const now = useNow();
  if (!at) return <span className="text-faint">–</span>;
  return (
    <time dateTime={at} title={absolute(at)} className="tnum whitespace-nowrap">
      {relative(at, now)}
    </time>
  );
}

export const Mono = ({ children, title }: { children: ReactNode; title?: string }) => (
  <span title={title} className="font-mono text-[0.92em] tracking-tight">
    {children}
  </span>
);

/** Names and values, in columns as the width allows. */
export function Facts({ items }: { items: [label: string, value: ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[repeat(auto-fill,minmax(11rem,1fr))] gap-x-6 gap-y-3 px-4 py-3">
      {items.map(([label, value]) => (
        <div key={label} className="min-w-0">
          <dt className="text-2xs font-medium tracking-wide text-faint uppercase">{label}</dt>
          <dd className="text-sm break-words">{value ?? <span className="text-faint">–</span>}</dd>
        </div>
      ))}
    </dl>
  );
}

const FIELD = "h-8 rounded-md border border-line-strong bg-surface px-2.5 text-sm text-ink placeholder:text-faint hover:border-faint";

export function SearchField({ value, onChange, label }: { value: string; onChange: (value: string) => void; label: string }) {
  return (
    <input type="search" value={value} onChange={(e) => onChange(e.target.value)} aria-label={label} placeholder={label} className={`${FIELD} w-72`} />
  );
}

export function Select({ value, onChange, label, options }: { value: string; onChange: (value: string) => void; label: string; options: [value: string, text: string][] }) {
  return (
    <select value={value} onChange={(e) => onChange(e.target.value)} aria-label={label} className={FIELD}>
      {options.map(([key, text]) => (
        <option key={key} value={key}>
          {text}
        </option>
      ))}
    </select>
  );
}

export function DateTimeField({ value, onChange, label }: { value: string; onChange: (value: string) => void; label: string }) {
  return <input type="datetime-local" value={value} onChange={(e) => onChange(e.target.value)} aria-label={label} className={FIELD} />;
}

export function Button({ children, onClick, tone = "plain", disabled, autoFocus }: { children: ReactNode; onClick: () => void; tone?: "plain" | "danger"; disabled?: boolean; autoFocus?: boolean }) {
  const look = tone === "danger" ? "border-bad/50 text-bad hover:bg-bad-wash" : "border-line-strong bg-surface hover:bg-raised";
  return (
    <button type="button" onClick={onClick} disabled={disabled} autoFocus={autoFocus} className={`h-8 rounded-md border px-3 text-sm font-medium disabled:opacity-50 ${look}`}>
      {children}
    </button>
  );
}

/** More of a paged list. */
export function More({ query }: { query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown } }) {
  if (!query.hasNextPage) return null;
  return (
    <Button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
      {query.isFetchingNextPage ? "Loading…" : "Load more"}
    </Button>
  );
}
