// For work on the dashboard alone: serves ../out with its Content-Security-Policy and answers the REST API from made-up
// data. Typed by the same document as the dashboard; never part of an image. `node dev/server.mjs [port]`, token `dev`.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { answer, change } from "./fixture.mjs";

const out = fileURLToPath(new URL("../out/", import.meta.url));
const port = Number(process.argv[2] ?? 3100);
const csp = async () => (await readFile(out + "csp.txt", "utf8")).trim();
/** @type {Record<string, string>} */
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain", ".json": "application/json" };

/** @param {import("node:http").ServerResponse} response @param {URL} url */
async function file(response, url) {
  let path = join(out, normalize(decodeURIComponent(url.pathname)));
  if (!extname(path)) path = join(path, "index.html");
  try {
    const body = await readFile(path);
    response.writeHead(200, { "Content-Type": types[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": await csp() });
    response.end(body);
  } catch {
    response.writeHead(404, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": await csp() });
    response.end(await readFile(join(out, "404.html")));
  }
}

/** @param {import("node:http").ServerResponse} response */
function stream(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const timer = setInterval(() => {
    const session = change();
    response.write(`event: session\nid: ${session.revision}\ndata: ${JSON.stringify({ session })}\n\n`);
  }, 700);
  response.on("close", () => clearInterval(timer));
}

createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://dev");
  if (!url.pathname.startsWith("/api/")) return void file(response, url);
  const allowed = request.headers.authorization === "Bearer dev";
  if (allowed && url.pathname === "/api/v1/stream/sessions") return stream(response);
  const [status, body] = allowed ? answer(request.method ?? "GET", url) : [401, { type: "about:blank", title: "Unauthorized", status: 401, detail: "Send a bearer token." }];
  response.writeHead(status, { "Content-Type": status < 400 ? "application/json" : "application/problem+json" });
  response.end(JSON.stringify(body));
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/#token=dev`));
