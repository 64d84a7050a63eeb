"use client";

import { useState } from "react";

import { saveToken } from "@/lib/token";
import { Logo } from "./shell";

/** Asks for a Kubernetes token and tries it before it is kept. */
export function SignIn() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit() {
    const given = token.trim();
    if (!given) return setProblem("Paste a token first.");
    setBusy(true);
    setProblem(await refusal(given));
    setBusy(false);
  }

  async function refusal(given: string): Promise<string> {
    try {
      const answer = await fetch("/api/v1/me", { headers: { Authorization: `Bearer ${given}` } });
      if (answer.status === 401) return "Kubernetes does not know this token; it may have expired.";
      if (!answer.ok && answer.status !== 403) return `The API answered ${answer.status}; try again.`;
      if (answer.status === 403) return "This user may not list sessions (sessions.sessions.lastmile.io).";
      saveToken(given);
      return "";
    } catch {
      return "The API cannot be reached.";
    }
  }

  return (
    <main className="flex min-h-dvh items-center justify-center p-6">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
        className="w-full max-w-md rounded-xl border border-line bg-surface p-8 shadow-card"
      >
        <div className="flex items-center gap-3 pb-6">
          <Logo />
          <h1 className="text-lg font-semibold tracking-tight">Sign in to Lastmile</h1>
        </div>
        <label htmlFor="token" className="text-sm font-medium">
          Kubernetes token
        </label>
        <textarea
          id="token"
          rows={4}
          value={token}
          spellCheck={false}
          autoComplete="off"
          autoFocus
          aria-describedby="token-help token-problem"
          onChange={(e) => setToken(e.target.value)}
          onKeyDown={(e) => {
            if (e.key === "Enter") {
              e.preventDefault();
              void submit();
            }
          }}
          className="mt-1.5 w-full resize-none rounded-md border border-line-strong bg-ground p-3 font-mono text-xs break-all"
        />
        <p id="token-help" className="pt-1 text-sm text-faint">
          A token of a user who may list sessions. It stays in this tab and is gone with it.
        </p>
        <p id="token-problem" role="alert" className="min-h-6 pt-1 text-sm text-bad">
          {problem}
        </p>
        <button type="submit" disabled={busy} className="mt-2 h-9 w-full rounded-md bg-accent font-medium text-accent-ink hover:opacity-90 disabled:opacity-60">
          {busy ? "Checking…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
