import { describe, expect, it } from "vitest";

import { absolute, bitRate, conditionName, count, duration, limit, octets, relative, roundTrip, words } from "./format";

describe("figures", () => {
  it("scales octets and bit rates by decimal prefixes", () => {
    expect(octets(0)).toBe("0 B");
    expect(octets(999)).toBe("999 B");
    expect(octets(1536)).toBe("1.54 kB");
    expect(octets(12_345_678)).toBe("12.3 MB");
    expect(octets(999_950_000)).toBe("1.00 GB");
    expect(bitRate(2e6)).toBe("2.00 Mbit/s");
    expect(bitRate(0.4)).toBe("0.4 bit/s");
    expect(bitRate(Number.NaN)).toBe("–");
  });

  it("keeps the figures of a limit as they were set", () => {
    expect(limit(null)).toBe("no limit");
    expect(limit(512)).toBe("512 kbit/s");
    expect(limit(100_000)).toBe("100 Mbit/s");
    expect(limit(2_500_000)).toBe("2.5 Gbit/s");
  });

  it("writes counts, round trips and spans", () => {
    expect(count(1_234_567)).toBe("1\u202f234\u202f567");
    expect(roundTrip(null)).toBe("–");
    expect(roundTrip(840)).toBe("0.84 ms");
    expect(duration(0)).toBe("0s");
    expect(duration(3600)).toBe("1h");
    expect(duration(93_784)).toBe("1d 2h");
  });
});

describe("times", () => {
  const now = Date.parse("2026-11-23T14:00:00Z");
  it("are relative, to both sides", () => {
    expect(relative("2026-11-23T13:59:59Z", now)).toBe("now");
    expect(relative("2026-11-23T13:57:40Z", now)).toBe("2m ago");
    expect(relative("2026-11-23T15:00:00Z", now)).toBe("in 1h");
    expect(relative("nonsense", now)).toBe("–");
  });
  it("have an absolute form with the zone", () => {
    expect(absolute("2026-11-23T14:00:00Z")).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+/);
  });
});

describe("words", () => {
  it("makes constants and condition types readable", () => {
    expect(words("PENDING_AUTH")).toBe("Pending auth");
    expect(conditionName("DhcpReachable")).toBe("DHCP reachable");
    expect(conditionName("LeasesReconciled")).toBe("Leases reconciled");
  });
});
