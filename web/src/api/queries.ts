"use client";

import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { api, type EventType, unwrap } from "./client";

const SECOND = 1000;

export const useMe = () => useQuery({ queryKey: ["me"], queryFn: () => unwrap(api.GET("/api/v1/me")), staleTime: 60 * SECOND });

export const useOverview = () =>
  useQuery({ queryKey: ["overview"], queryFn: () => unwrap(api.GET("/api/v1/overview")), refetchInterval: 5 * SECOND });

export const useBngs = () =>
  useQuery({ queryKey: ["bngs"], queryFn: async () => (await unwrap(api.GET("/api/v1/bngs"))).items, refetchInterval: 5 * SECOND });

export const useHealth = (namespace: string, name: string, minutes: number) =>
  useQuery({
    queryKey: ["health", namespace, name, minutes],
    queryFn: async () => {
      const params = { path: { namespace, name }, query: { minutes } };
      return (await unwrap(api.GET("/api/v1/bngs/{namespace}/{name}/health", { params }))).items;
    },
    refetchInterval: 10 * SECOND,
    placeholderData: keepPreviousData,
  });

export const useSession = (id: string) =>
  useQuery({
    queryKey: ["session", id],
    queryFn: () => unwrap(api.GET("/api/v1/sessions/{id}", { params: { path: { id } } })),
    refetchInterval: (query) => (query.state.data?.ended ? false : 3 * SECOND),
  });

export const useTraffic = (id: string, live: boolean) =>
  useQuery({
    queryKey: ["traffic", id],
    queryFn: async () => (await unwrap(api.GET("/api/v1/sessions/{id}/traffic", { params: { path: { id } } }))).points,
    refetchInterval: live ? 5 * SECOND : false,
  });

export const useSessionEvents = (id: string, live: boolean) =>
  useInfiniteQuery({
    queryKey: ["session-events", id],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) =>
      unwrap(api.GET("/api/v1/sessions/{id}/events", { params: { path: { id }, query: { limit: 50, cursor } } })),
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    refetchInterval: live ? 5 * SECOND : false,
  });

export interface HistoryFilter {
  from?: string;
  to?: string;
  q?: string;
  bng?: string;
}

export const useHistory = (filter: HistoryFilter) =>
  useInfiniteQuery({
    queryKey: ["history", filter],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) => unwrap(api.GET("/api/v1/history", { params: { query: { ...filter, limit: 200, cursor } } })),
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    refetchInterval: 15 * SECOND,
    placeholderData: keepPreviousData,
  });

export const useEvents = (filter: { type?: EventType; bng?: string }) =>
  useInfiniteQuery({
    queryKey: ["events", filter],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) => unwrap(api.GET("/api/v1/events", { params: { query: { ...filter, limit: 100, cursor } } })),
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    refetchInterval: 5 * SECOND,
    placeholderData: keepPreviousData,
  });

const NEWS: readonly EventType[] = ["SESSION_START", "SESSION_STOP", "POLICY_APPLY", "ROUTER_UPDATE"];

/** The latest events that are news; interim updates and health reports would drown them. */
export const useNews = (limit: number) =>
  useQuery({
    queryKey: ["news", limit],
    queryFn: async () => {
      const pages = await Promise.all(NEWS.map((type) => unwrap(api.GET("/api/v1/events", { params: { query: { type, limit } } }))));
      const events = pages.flatMap((page) => page.items);
      return events.sort((a, b) => Date.parse(b.ts) - Date.parse(a.ts) || b.seq - a.seq).slice(0, limit);
    },
    refetchInterval: 5 * SECOND,
  });

export const useRouters = () =>
  useInfiniteQuery({
    queryKey: ["routers"],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) => unwrap(api.GET("/api/v1/routers", { params: { query: { limit: 500, cursor } } })),
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    refetchInterval: 5 * SECOND,
  });

export const usePolicies = () =>
  useQuery({ queryKey: ["policies"], queryFn: async () => (await unwrap(api.GET("/api/v1/policies"))).items, refetchInterval: 15 * SECOND });
