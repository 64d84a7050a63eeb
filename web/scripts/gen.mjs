// Writes src/api/schema.d.ts, the types of the REST API, from the document that the api crate keeps beside its code.
// With --check it writes nothing and fails when the file is stale.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const source = new URL("../../api/openapi.json", import.meta.url);
const target = new URL("../src/api/schema.d.ts", import.meta.url);

const banner = "// Generated from api/openapi.json by `npm run gen`. Do not edit.\n\n";
const text = banner + astToString(await openapiTS(source));

if (process.argv.includes("--check")) {
  const present = await readFile(target, "utf8").catch(() => "");
  if (present !== text) {
    console.error("src/api/schema.d.ts is stale: run `npm run gen` and commit it.");
    process.exit(1);
  }
} else {
  await writeFile(target, text);
}
