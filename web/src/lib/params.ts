"use client";

import { useSearchParams } from "next/navigation";
import { useCallback } from "react";

/** A part of the page's state that lives in the query of its address, so that a link leads to what one sees. */
export function useParam(name: string): [string, (value: string) => void] {
  const params = useSearchParams();
  const set = useCallback((value: string) => setParams({ [name]: value }), [name]);
  return [params.get(name) ?? "", set];
}

/** Sets several at once, without a new entry in the history; an empty value removes its parameter. */
export function setParams(values: Record<string, string>): void {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(values)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  window.history.replaceState(null, "", url);
}
