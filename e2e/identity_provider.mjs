// An identity provider for the tests: Better Auth with its JWT plugin, in memory, on the port in PORT.
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";

const database = { user: [], session: [], account: [], verification: [], jwks: [] };
const port = Number(process.env.PORT);
const origin = `http://127.0.0.1:${port}`;

const auth = betterAuth({
  baseURL: origin,
  secret: process.env.BETTER_AUTH_SECRET,
  database: memoryAdapter(database),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [
    jwt({
      jwt: {
        audience: "https://todo.example.org",
        definePayload: () => ({}),
      },
    }),
  ],
});

const handle = toNodeHandler(auth);

createServer((request, response) => {
  if (request.method === "POST" && request.url === "/rotate") {
    // Without keys, Better Auth makes a new one for the next token.
    database.jwks.length = 0;
    response.end();
    return;
  }
  handle(request, response);
}).listen(port, "127.0.0.1", () => console.log("ready"));
