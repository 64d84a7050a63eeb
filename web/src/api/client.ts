import createClient from "openapi-fetch";

import { dropToken, readToken } from "@/lib/token";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Session = Schemas["Session"];
export type SessionState = Schemas["SessionState"];
export type AuthState = Schemas["AuthState"];
export type Bng = Schemas["Bng"];
export type Health = Schemas["Health"];
export type Condition = Schemas["Condition"];
export type Event = Schemas["Event"];
export type EventType = Schemas["EventType"];
export type Router = Schemas["Router"];
export type Policy = Schemas["Policy"];
export type Overview = Schemas["Overview"];
export type Problem = Schemas["Problem"];

/** A request that was answered, but not with what was asked for. */
export class ApiError extends Error {
  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** For people. */
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** The REST API, typed by its own document. */
export const api = createClient<paths>({ baseUrl: typeof window === "undefined" ? "http://localhost" : window.location.origin });

api.use({
  onRequest({ request }) {
    const token = readToken();
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
  },
  onResponse({ response }) {
    if (response.status === 401) dropToken();
  },
});

/** The answer's data, or the problem as an {@link ApiError}. */
export async function unwrap<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok && data !== undefined) return data;
  throw new ApiError(response.status, describeProblem(error) ?? `The API answered ${response.status}.`);
}

/** What a problem+json body says to people. */
export function describeProblem(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { detail, title } = body as Partial<Problem>;
  return detail || title || undefined;
}
