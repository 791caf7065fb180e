// The client of openapi-typescript and openapi-fetch: logs in, stages, commits, reads back, commits in one request.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { env: Record<string, string>; exit(code: number): never };
const client = createClient<paths>({ baseUrl: process.env.DOORWARD_URL });

function expect(holds: unknown, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const login = await client.GET("/api/authentication", { headers: { Authorization: process.env.DOORWARD_BASIC } });
expect(login.response.ok, login.error);
const cookie = login.response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
client.use({ onRequest: ({ request }) => request.headers.set("Cookie", cookie) });

const path = "/api/configuration/management/webinterface";
const staged = await client.PUT(path, { body: { timeout: 31 } });
expect(staged.data?.body.timeout === 31, staged);
const committed = await client.PUT("/api/transaction", { body: { status: "commit", commit_message: "openapi-fetch" } });
expect(committed.data?.body.status === "closed" && committed.data.meta.revision, committed);
const read = await client.GET(path);
expect(read.data?.body.timeout === 31 && read.data.meta.parent === "/api/configuration/management", read);

const changes = [
  { method: "POST" as const, path: "/api/configuration/passwords", body: { plain: "a long enough password" }, id: "p" },
  { method: "POST" as const, path: "/api/configuration/aaa/local_database/users", body: { name: "fetch", password: "@new:p" } },
];
const both = await client.POST("/api/commits", { body: { changes } });
expect(both.data?.results.length === 2 && both.data.results[1]?.status === 201, both);
const refused = await client.PUT(path, { body: { timeout: 0 } });
expect(refused.error?.error.details.errors?.[0]?.pointer === "/timeout", refused);
