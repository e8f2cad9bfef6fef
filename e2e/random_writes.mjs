// Lets three clients write at random, and waits until they have the server's tasks.
// Arguments: the module of the clients, the URL of the tasks, the seconds of writing, and the seconds to wait.
import { pathToFileURL } from "node:url";

const [module, url, seconds, patience] = process.argv.slice(2);
const { createClient } = await import(pathToFileURL(module));
const CHANGED = 12; // All clients change and delete the same few tasks, so that they are in conflict.
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const choose = (values) => values[Math.floor(Math.random() * values.length)];
const now = () => performance.now() / 1000;

function newId() {
  const time = Date.now().toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}

const byId = (one, other) => (one.id < other.id ? -1 : 1);

function randomChange(number) {
  return choose([{ title: `${newId()} of ${number}` }, { description: newId() }, { completed: Math.random() < 0.5 }]);
}

async function writeAtRandom(client, number) {
  const end = now() + Number(seconds);
  while (now() < end) {
    const oldest = (await client.tasks()).sort(byId).slice(0, CHANGED);
    const dice = Math.random();
    if (dice < 0.4 || oldest.length === 0) await client.create(newId(), `Of ${number}`);
    else if (dice < 0.85) await client.change(choose(oldest).id, randomChange(number));
    else await client.remove(choose(oldest).id);
    await pause(Math.random() * 60);
  }
}

const clients = await Promise.all([0, 1, 2].map((number) => createClient(url, number)));
const pulling = setInterval(() => clients.forEach((client) => client.pull()), 20);
await Promise.all(clients.map(writeAtRandom));

async function stored() {
  const everybody = await Promise.all(clients.map((client) => client.tasks()));
  return everybody.map((tasks) => tasks.sort(byId));
}

async function areEqual() {
  const server = JSON.stringify((await (await fetch(url)).json()).sort(byId));
  return (await stored()).every((tasks) => JSON.stringify(tasks) === server);
}

const end = now() + Number(patience);
while (!(await areEqual()) && now() < end) await pause(200);
clearInterval(pulling);
const answer = { tasks: await stored(), counts: clients.map((client) => client.counts) };
process.stdout.write(JSON.stringify(answer), () => process.exit());
