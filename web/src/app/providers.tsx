"use client";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";

import { ApiError } from "@/api/client";
import { readToken, subscribeToken } from "@/lib/token";
import { Shell } from "@/ui/shell";
import { SignIn } from "@/ui/sign-in";
import { Loading } from "@/ui/states";

const newClient = () =>
  new QueryClient({
    defaultOptions: {
      queries: {
        // What the API refuses, it refuses again; what the network loses may come through.
        retry: (failures, error) => !(error instanceof ApiError && error.status < 500) && failures < 2,
        staleTime: 2000,
        refetchOnWindowFocus: true,
      },
    },
  });

/** Everything below knows that there is a token; without one there is the sign-in page, at whatever address. */
export function Providers({ children }: { children: ReactNode }) {
  const [client] = useState(newClient);
  const [mounted, setMounted] = useState(false);
  const token = useSyncExternalStore(subscribeToken, readToken, () => null);
  useEffect(() => setMounted(true), []);
  useEffect(() => {
    if (!token) client.clear();
  }, [client, token]);

  if (!mounted) return <Loading label="Loading the dashboard" />;
  return <QueryClientProvider client={client}>{token ? <Shell>{children}</Shell> : <SignIn />}</QueryClientProvider>;
}
