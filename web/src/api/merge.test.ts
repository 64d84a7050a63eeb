import { describe, expect, it } from "vitest";

import type { Session } from "./client";
import { applyChanges, applyList, nothing } from "./merge";

const session = (id: string, revision: number, ended = false) =>
  ({ id, revision, ended: ended ? { at: "", cause: "User-Request", detail: "", provisional: false } : null }) as Session;
const shown = (live: { sessions: ReadonlyMap<string, Session> }) => [...live.sessions.values()].map((s) => `${s.id}@${s.revision}`).sort();

describe("changes", () => {
  it("add, replace and end sessions", () => {
    let live = applyChanges(nothing, [session("a", 1), session("b", 2)]);
    live = applyChanges(live, [session("a", 3), session("b", 4, true)]);
    expect(shown(live)).toEqual(["a@3"]);
  });

  it("count in the order of revisions, however they arrive", () => {
    const live = applyChanges(nothing, [session("a", 5), session("a", 4), session("b", 7, true), session("b", 6)]);
    expect(shown(live)).toEqual(["a@5"]);
  });

  it("bring back a session whose end was corrected", () => {
    const live = applyChanges(nothing, [session("a", 1), session("a", 2, true), session("a", 3)]);
    expect(shown(live)).toEqual(["a@3"]);
  });
});

describe("a list", () => {
  it("does not undo what the stream saw meanwhile", () => {
    const stream = applyChanges(nothing, [session("a", 9), session("b", 8, true), session("new", 10)]);
    expect(shown(applyList([session("a", 3), session("b", 4), session("c", 5)], stream))).toEqual(["a@9", "c@5", "new@10"]);
  });
});
