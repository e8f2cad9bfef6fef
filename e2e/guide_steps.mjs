// Runs steps on the client of docs/synchronising.md, from the file that CLIENT names, and writes what it stores.
// Reads {"url", "store", "steps"} from standard input. A step is a method and its arguments. The step "lose" sends
// the outbox, but loses each answer.
import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { Tasks, newId } = await import(pathToFileURL(process.env.CLIENT));
const { url, store, steps } = await json(process.stdin);
const client = new Tasks(url, store);
const requests = [];
const send = globalThis.fetch;
let isLost = false;
globalThis.fetch = async (target, options) => {
  const response = await send(target, options);
  requests.push([options.method, response.status]);
  if (isLost) throw new TypeError("fetch failed");
  return response;
};

async function lose() {
  isLost = true;
  await client.push().catch((error) => error.message === "fetch failed" || Promise.reject(error));
  isLost = false;
}

for (const [method, ...values] of steps) await (method === "lose" ? lose() : client[method](...values));
const { tasks, state, outbox } = client;
process.stdout.write(JSON.stringify({ store: { tasks, state, outbox }, requests, id: newId() }));
