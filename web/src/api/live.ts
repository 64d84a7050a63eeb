"use client";

import { useEffect, useState } from "react";

import { dropToken, readToken } from "@/lib/token";
import { api, type Session, unwrap } from "./client";
import { applyChanges, applyList, type Live, nothing } from "./merge";
import { SseParser } from "./sse";

/** As many rows as one page shows; beyond that a search on the server is the better tool. */
export const LIVE_LIMIT = 10_000;
const PAGE = 500;
const RETRY_MS = 2000;

export type StreamState = "connecting" | "live" | "lost";

export interface LiveSessions {
  sessions: Session[];
  /** The list was read at least once. */
  loaded: boolean;
  /** There are more than {@link LIVE_LIMIT}. */
  truncated: boolean;
  stream: StreamState;
  error: Error | null;
}

/** All active sessions, kept up to date by the stream of changes; reconnects for ever. */
export function useLiveSessions(): LiveSessions {
  const [state, setState] = useState<LiveSessions>({ sessions: [], loaded: false, truncated: false, stream: "connecting", error: null });
  useEffect(() => {
    const abort = new AbortController();
    void follow(abort.signal, (change) => setState((before) => ({ ...before, ...change })));
    return () => abort.abort();
  }, []);
  return state;
}

type Publish = (change: Partial<LiveSessions>) => void;

async function follow(signal: AbortSignal, publish: Publish): Promise<void> {
  while (!signal.aborted) {
    try {
      await connection(signal, publish);
      publish({ stream: "lost" });
    } catch (error) {
      if (signal.aborted) return;
      publish({ stream: "lost", error: error instanceof Error ? error : new Error(String(error)) });
    }
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

/** One connection, until it ends or asks for a reset: the stream first, then the list, so that nothing falls between. */
async function connection(signal: AbortSignal, publish: Publish): Promise<void> {
  const scope = new AbortController();
  const both = AbortSignal.any([signal, scope.signal]);
  try {
    const events = await open(both);
    let live: Live = nothing;
    let listed = false;
    const show = () => publish({ sessions: [...live.sessions.values()] });
    const loading = list(both).then(({ sessions, truncated }) => {
      live = applyList(sessions, live);
      listed = true;
      publish({ loaded: true, truncated, stream: "live", error: null });
      show();
    });
    await Promise.race([
      loading.then(() => new Promise<never>(() => {})),
      read(events, (changes) => {
        live = applyChanges(live, changes);
        if (listed) show();
      }),
    ]);
  } finally {
    scope.abort();
  }
}

async function open(signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const token = readToken();
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const response = await fetch("/api/v1/stream/sessions", { headers, signal, cache: "no-store" });
  if (response.status === 401) dropToken();
  if (!response.ok || !response.body) throw new Error(`The stream of changes answered ${response.status}.`);
  return response.body;
}

async function list(signal: AbortSignal): Promise<{ sessions: Session[]; truncated: boolean }> {
  const sessions: Session[] = [];
  let cursor: string | undefined;
  do {
    const page = await unwrap(api.GET("/api/v1/sessions", { params: { query: { limit: PAGE, cursor } }, signal }));
    sessions.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor && sessions.length < LIVE_LIMIT);
  return { sessions, truncated: cursor !== undefined };
}

/** Hands over the changes of each chunk at once; returns at the end of the stream or at a `reset`. */
async function read(body: ReadableStream<Uint8Array>, changed: (sessions: Session[]) => void): Promise<void> {
  const parser = new SseParser();
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = parser.push(value);
    changed(events.filter((e) => e.event === "session").map((e) => (JSON.parse(e.data) as { session: Session }).session));
    if (events.some((e) => e.event === "reset")) return;
  }
}
