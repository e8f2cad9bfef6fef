// The client of docs/synchronising.md, from the file that CLIENT names, for random_writes.mjs.
import { pathToFileURL } from "node:url";

const { Tasks } = await import(pathToFileURL(process.env.CLIENT));

export async function createClient(url) {
  const counts = { created: 0, changed: 0, deleted: 0, conflicts: 0 };
  const names = { "PUT 201": "created", "PATCH 200": "changed", "DELETE 200": "deleted" };
  const client = new Tasks(url);
  const { request } = client;
  client.request = async (method, ...rest) => {
    const answer = await request.call(client, method, ...rest);
    const name = answer[0] === 412 ? "conflicts" : names[`${method} ${answer[0]}`];
    if (name) counts[name] += 1;
    return answer;
  };
  let isBusy = false;
  async function pull() {
    if (isBusy) return;
    isBusy = true;
    await client.synchronise();
    setTimeout(() => (isBusy = false), 200); // so that another client writes before the next time
  }
  return {
    counts,
    pull,
    create: (id, title) => client.create(id, { title }),
    change: (id, changes) => client.change(id, changes),
    remove: (id) => client.delete(id),
    tasks: async () =>
      Object.values(client.tasks)
        .filter((task) => task.state === "live")
        .map(({ state, ...task }) => task),
  };
}
