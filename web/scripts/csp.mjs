// Writes out/csp.txt: the one line that is the value of the Content-Security-Policy header for every page of the export.
// Next.js puts its data into inline scripts; each is allowed by its hash, so that no other inline script ever runs.
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const out = fileURLToPath(new URL("../out/", import.meta.url));
const pages = (await readdir(out, { recursive: true })).filter((name) => name.endsWith(".html"));

const hashes = new Set();
for (const page of pages) {
  const html = await readFile(out + page, "utf8");
  for (const [, attributes, body] of html.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)) {
    if (!/\ssrc=/.test(attributes ?? "")) {
      hashes.add(`'sha256-${createHash("sha256").update(body ?? "").digest("base64")}'`);
    }
  }
  if (/<style|\sstyle="/.test(html)) {
    throw new Error(`${page} has an inline style, which style-src 'self' forbids`);
  }
}

const header = [
  "default-src 'none'",
  ["script-src 'self'", ...[...hashes].sort()].join(" "),
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
await writeFile(out + "csp.txt", header + "\n");
console.log(`csp.txt: ${hashes.size} inline scripts on ${pages.length} pages, ${header.length} octets`);
