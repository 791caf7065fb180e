// The client of @hey-api/openapi-ts: logs in, stages, commits, reads back.
import { client } from "./hey/client.gen.js";
import {
  getAuthentication,
  getConfigurationManagementWebinterface,
  postConfigurationAaaLocalDatabaseUsers,
  putConfigurationManagementWebinterface,
  putTransaction,
} from "./hey/sdk.gen.js";

declare const process: { env: Record<string, string>; exit(code: number): never };

function expect(holds: unknown, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

client.setConfig({ baseUrl: process.env.DOORWARD_URL as `${string}://${string}` });
const login = await getAuthentication({ headers: { Authorization: process.env.DOORWARD_BASIC } });
expect(login.response?.ok, login.error);
client.setConfig({ headers: { Cookie: login.response.headers.getSetCookie()[0]?.split(";")[0] } });

const made = await postConfigurationAaaLocalDatabaseUsers({ body: { name: "hey" } });
expect(made.data?.body.name === "hey", made);
const staged = await putConfigurationManagementWebinterface({ body: { timeout: 32 } });
expect(staged.data?.body.timeout === 32, staged);
const committed = await putTransaction({ body: { status: "commit" } });
expect(committed.data?.body.status === "closed", committed);
const read = await getConfigurationManagementWebinterface();
expect(read.data?.body.timeout === 32, read);
