// A client whose tasks RxDB's replication keeps in step with the service.
import { createRxDatabase, defaultConflictHandler } from "rxdb/plugins/core";
import { replicateRxCollection } from "rxdb/plugins/replication";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";

const WRITABLE = ["title", "description", "completed", "due", "priority", "labels"];
const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const SCHEMA = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 36 },
    title: text,
    description: text,
    completed: { type: "boolean" },
    due: textOrNull,
    priority: textOrNull,
    labels: { type: "object" },
    user_id: text,
    created_at: text,
    updated_at: text,
    completed_at: textOrNull,
    version: { type: "integer" },
  },
  required: ["id"],
};

const isEqual = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// A deletion wins. Else a field that this client changed is kept, and the others are the server's.
function resolve({ newDocumentState: mine, assumedMasterState: before, realMasterState: theirs }) {
  if (mine._deleted || theirs._deleted) return { ...theirs, _deleted: true };
  const changed = WRITABLE.filter((name) => name in mine && !isEqual(mine[name], before?.[name]));
  return { ...theirs, ...Object.fromEntries(changed.map((name) => [name, mine[name]])) };
}

export async function createClient(url, number) {
  const counts = { created: 0, changed: 0, deleted: 0, conflicts: 0, pulled: 0, restarted: 0, retried: 0 };

  async function send(method, path, body, headers) {
    const sent = { "Content-Type": "application/json", ...headers };
    const response = await fetch(url + path, { method, headers: sent, body: JSON.stringify(body) });
    if (![200, 201, 404, 410, 412].includes(response.status)) throw new Error(`${method} ${path}: ${response.status}`);
    return response;
  }

  async function conflict(document) {
    const response = await send("GET", `/${document.id}`);
    counts.conflicts += 1;
    return response.ok ? stored(response) : { ...document, _deleted: true };
  }

  const stored = async (response) => ({ ...(await response.json()), _deleted: false });

  // Returns the server's document, except of a deleted task. RxDB ignores what it pulls of a task while it pushes the
  // task, so the pull alone would not always bring the fields that the server sets.
  async function write({ newDocumentState: mine, assumedMasterState: before }) {
    const { id } = mine;
    if (!before) {
      if (mine._deleted) return null;
      const task = Object.fromEntries(WRITABLE.filter((name) => name in mine).map((name) => [name, mine[name]]));
      const response = await send("PUT", `/${id}`, task, { "If-None-Match": "*" });
      counts.created += response.ok;
      return response.ok ? stored(response) : conflict(mine);
    }
    const unchanged = { "If-Match": `"${before.version}"` };
    if (!mine._deleted) {
      const changed = WRITABLE.filter((name) => name in mine && !isEqual(mine[name], before[name]));
      const changes = Object.fromEntries(changed.map((name) => [name, mine[name]]));
      const response = await send("PATCH", `/${id}`, changes, unchanged);
      counts.changed += response.ok;
      return response.ok ? stored(response) : conflict(before);
    }
    const { ok, status } = await send("DELETE", `/${id}`, undefined, unchanged);
    counts.deleted += ok;
    // Half of the tasks are removed from the trash too.
    if (ok && parseInt(id.at(-1), 16) % 2) await send("DELETE", `/trash/${id}`);
    return ok || status === 404 ? null : conflict(before);
  }

  async function push(rows) {
    const refused = [];
    for (const row of rows) refused.push(await write(row));
    return refused.filter(Boolean);
  }

  async function pull(checkpoint, limit) {
    const response = await send("GET", `/changes?limit=${limit}${checkpoint ? `&since=${checkpoint.state}` : ""}`);
    if (response.status === 410) {
      counts.restarted += 1;
      return pull(null, limit);
    }
    const { changes, state } = await response.json();
    counts.pulled += changes.length;
    const documents = changes.map((change) => ({ id: change.id, ...change.task, _deleted: change.state !== "live" }));
    return { documents, checkpoint: { state } };
  }

  const database = await createRxDatabase({
    name: `client${number}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  });
  const conflictHandler = { ...defaultConflictHandler, resolve };
  const { tasks } = await database.addCollections({ tasks: { schema: SCHEMA, conflictHandler } });
  const replication = replicateRxCollection({
    collection: tasks,
    replicationIdentifier: url,
    retryTime: 100,
    pull: { handler: pull, batchSize: 100 },
    push: { handler: push, batchSize: 10 },
  });
  replication.error$.subscribe((error) => {
    counts.retried += 1;
    console.error(error.message);
  });

  return {
    counts,
    pull: () => replication.reSync(),
    create: (id, title) => tasks.insert({ id, title }),
    change: async (id, changes) => (await tasks.findOne(id).exec())?.incrementalPatch(changes),
    remove: async (id) => (await tasks.findOne(id).exec())?.incrementalRemove(),
    tasks: async () => (await tasks.find().exec()).map((task) => task.toJSON()),
  };
}
