import { describe, expect, it } from "vitest";

import { SseParser } from "./sse";

const TEXT = 'event: session\nid: 7\ndata: {"a":\ndata: 1}\n\n: keep-alive\n\ndata:plain\r\n\r\nevent: reset\ndata: {}\n\n';

describe("SseParser", () => {
  it("hands out the same events however the text is cut", () => {
    const whole = new SseParser().push(TEXT);
    expect(whole).toEqual([
      { event: "session", data: '{"a":\n1}' },
      { event: "message", data: "plain" },
      { event: "reset", data: "{}" },
    ]);
    for (const size of [1, 2, 3, 7, 11]) {
      const parser = new SseParser();
      const parts = TEXT.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [];
      expect(parts.flatMap((part) => parser.push(part))).toEqual(whole);
    }
  });

  it("drops what has no data", () => {
    expect(new SseParser().push("event: session\n\n")).toEqual([]);
  });
});
