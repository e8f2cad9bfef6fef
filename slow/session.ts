// A session with the client of openapi-typescript: `node session.js URL TOKEN`. Print each step.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Task = components["schemas"]["Task"];

const [url = "", token = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
const steps: unknown[] = [];

function record(step: string, answer: { response: Response; error?: unknown }, ...tasks: Task[]): void {
  if (answer.error !== undefined) console.error(answer.error);
  const rows = tasks.map((task) => [task.title, task.completed, task.priority, Object.keys(task.labels), task.version]);
  steps.push([step, answer.response.status, rows]);
}

const beginning = await client.GET("/api/tasks/changes");

const created = await client.POST("/api/tasks", {
  body: { title: "Buy milk", due: "2026-12-24", priority: "high", labels: { home: true } },
});
if (!created.data) throw new Error("not created");
const { id } = created.data;
record("create", created, created.data);

const path = { id: "01890000-0000-7000-8000-000000000001" };
const put = await client.PUT("/api/tasks/{id}", {
  params: { path, header: { "If-None-Match": "*" } },
  body: { title: "Call the plumber" },
});
record("put", put, ...(put.data ? [put.data] : []));

const list = await client.GET("/api/tasks", { params: { query: { ordering: "-title", completed: false, limit: 10 } } });
record("list", list, ...(list.data ?? []));

const count = await client.GET("/api/tasks/count", { params: { query: { priority: "none" } } });
steps.push(["count", count.response.status, count.data?.count]);

const etag = created.response.headers.get("ETag") ?? "";
const patch = { params: { path: { id }, header: { "If-Match": etag } } };
const changed = await client.PATCH("/api/tasks/{id}", {
  ...patch,
  body: { ...created.data, priority: null, labels: { home: null, shop: true } },
});
record("patch", changed, ...(changed.data ? [changed.data] : []));

const stale = await client.PATCH("/api/tasks/{id}", { ...patch, body: { title: "Buy tea" } });
steps.push(["stale patch", stale.response.status, stale.error?.code]);

const refused = await client.POST("/api/tasks", { body: { title: "" } });
steps.push(["refused", refused.response.status, refused.error?.errors?.map((fault) => [fault.pointer, fault.code])]);

const toggled = await client.POST("/api/tasks/{id}/toggle", { params: { path: { id } } });
record("toggle", toggled, ...(toggled.data ? [toggled.data] : []));

const bulk = await client.POST("/api/tasks/bulk", {
  body: [
    { op: "create", task: { title: "Water the plants" } },
    { op: "update", id: path.id, task: { labels: ["phone"] }, if_match: 1 },
    { op: "toggle", id },
  ],
});
record("bulk", bulk, ...(bulk.data ?? []));

const deleted = await client.DELETE("/api/tasks/{id}", { params: { path: { id } } });
record("delete", deleted, ...(deleted.data ? [deleted.data] : []));

if (!beginning.data) throw new Error("no changes");
const since = beginning.data.state;
const changes = await client.GET("/api/tasks/changes", { params: { query: { since } } });
const states = changes.data?.changes.map((change) => [change.state, change.task?.title]);
steps.push(["changes", changes.response.status, states?.sort(), changes.data?.more]);

console.log(JSON.stringify(steps));
