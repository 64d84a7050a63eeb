import type { ReactNode } from "react";

import { ApiError } from "@/api/client";

export function Loading({ label = "Loading" }: { label?: string }) {
  return (
    <div role="status" className="flex items-center justify-center gap-3 p-10 text-faint">
      <span className="size-4 animate-spin rounded-full border-2 border-line-strong border-t-accent" aria-hidden />
      {label}…
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-1 p-10 text-center">
      <p className="font-medium text-soft">{title}</p>
      {children && <p className="max-w-md text-faint">{children}</p>}
    </div>
  );
}

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const refused = error instanceof ApiError;
  return (
    <div role="alert" className="m-3 flex items-start gap-3 rounded-md border border-bad/30 bg-bad-wash px-4 py-3 text-bad">
      <div className="grow">
        <p className="font-medium">{refused ? `The API refused (${error.status})` : "The API cannot be reached"}</p>
        <p className="text-sm">{error.message}</p>
      </div>
      {retry && (
        <button type="button" onClick={retry} className="rounded border border-bad/40 px-2.5 py-1 text-sm font-medium hover:bg-bad/10">
          Try again
        </button>
      )}
    </div>
  );
}

interface Answer<T> {
  data: T | undefined;
  error: Error | null;
  refetch: () => unknown;
}

/** What a query has to show: its data; without any, its failure or that it is still asking. Old data beat a fresh failure. */
export function Answered<T>({ query, children }: { query: Answer<T>; children: (data: T) => ReactNode }) {
  if (query.data === undefined) return query.error ? <Failure error={query.error} retry={() => void query.refetch()} /> : <Loading />;
  return (
    <>
      {query.error && <Failure error={query.error} retry={() => void query.refetch()} />}
      {children(query.data)}
    </>
  );
}
