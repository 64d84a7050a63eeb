"use client";

import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";
const listeners = new Set<() => void>();

const current = (): Theme => (document.documentElement.dataset["theme"] === "dark" ? "dark" : "light");

function choose(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem("lastmile.theme", theme);
  } catch {
    // Storage is off: the choice lasts until the page is reloaded.
  }
  listeners.forEach((listener) => listener());
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** The theme in force (public/theme.js set it first) and how to choose another. */
export const useTheme = (): [Theme, (theme: Theme) => void] => [useSyncExternalStore(subscribe, current, () => "light"), choose];
