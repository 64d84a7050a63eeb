/**
 * The Kubernetes token of this tab: pasted on the sign-in page, or handed over in the URL's fragment (`#token=…`), which
 * browsers never send anywhere. It lives in sessionStorage and ends with the tab.
 */
const KEY = "lastmile.token";
const listeners = new Set<() => void>();
let memory: string | null | undefined;

export function readToken(): string | null {
  if (typeof window === "undefined") return null;
  if (memory === undefined) {
    memory = takeFragment() ?? stored();
  }
  return memory;
}

export function saveToken(token: string): void {
  memory = token;
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // Storage is off: the token lasts until the page is reloaded.
  }
  listeners.forEach((listener) => listener());
}

export function dropToken(): void {
  memory = null;
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was stored.
  }
  listeners.forEach((listener) => listener());
}

export function subscribeToken(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The `token` of a fragment such as `#token=abc`. */
export function tokenOfFragment(fragment: string): string | null {
  return new URLSearchParams(fragment.replace(/^#/, "")).get("token") || null;
}

function takeFragment(): string | null {
  const token = tokenOfFragment(window.location.hash);
  if (!token) return null;
  const { pathname, search } = window.location;
  window.history.replaceState(window.history.state, "", pathname + search);
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // As in saveToken.
  }
  return token;
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
