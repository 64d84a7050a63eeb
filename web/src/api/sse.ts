/** Server-sent events read from a fetch stream: EventSource cannot send the bearer header. */

export interface ServerEvent {
  event: string;
  data: string;
}

/** Takes text as it arrives, cut anywhere; hands out the events that are whole. */
export class SseParser {
  private rest = "";
  private event = "";
  private data: string[] = [];

  push(chunk: string): ServerEvent[] {
    const lines = (this.rest + chunk).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.line(line) ?? []);
  }

  private line(line: string): ServerEvent | undefined {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return undefined;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    if (field === "data") this.data.push(value);
    return undefined;
  }

  private dispatch(): ServerEvent | undefined {
    const whole = this.data.length ? { event: this.event || "message", data: this.data.join("\n") } : undefined;
    this.event = "";
    this.data = [];
    return whole;
  }
}
