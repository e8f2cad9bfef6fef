// Fastify and postgres.js in a cluster; JSON schemas check the requests and serialize the responses.
import cluster from 'node:cluster'

import Fastify from 'fastify'
import postgres from 'postgres'
import { v7 as uuid7 } from 'uuid'

const USER = 'default'
const COLUMNS = [
  'id', 'title', 'description', 'completed', 'due', 'priority', 'labels', 'user_id', 'created_at', 'updated_at',
  'completed_at', 'version'
]
const DUE_FORMS = '^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}:\\d{2}(Z|\\[[A-Za-z][A-Za-z0-9_+/-]*\\])?)?$'

const task = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    title: { type: 'string' },
    description: { type: 'string' },
    completed: { type: 'boolean' },
    due: { type: 'string', nullable: true },
    priority: { type: 'string', nullable: true },
    labels: { type: 'object', additionalProperties: { type: 'boolean' } },
    user_id: { type: 'string' },
    created_at: { type: 'string', format: 'date-time' },
    updated_at: { type: 'string', format: 'date-time' },
    completed_at: { type: 'string', format: 'date-time', nullable: true },
    version: { type: 'integer' }
  }
}
const fields = {
  title: { type: 'string', minLength: 1, maxLength: 200 },
  description: { type: 'string', maxLength: 2000 },
  completed: { type: 'boolean' },
  due: { type: 'string', nullable: true, maxLength: 65, pattern: DUE_FORMS },
  priority: { enum: ['low', 'medium', 'high', null] },
  labels: { type: 'object', additionalProperties: { const: true } }
}
const params = { type: 'object', properties: { id: { type: 'string', format: 'uuid' } } }
const querystring = {
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 1000 },
    created_before: { type: 'string', format: 'date-time' },
    completed: { type: 'boolean' },
    q: { type: 'string', minLength: 1, maxLength: 200 }
  }
}
const one = { params, response: { 200: task } }

function connect () {
  const url = new URL(process.env.DATABASE_URL.replace('@/', '@localhost/'))
  const socket = url.searchParams.get('host')
  return postgres({
    host: socket ?? url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
    max: 8
  })
}

function build (sql) {
  const app = Fastify()
  const columns = sql(COLUMNS)
  const show = ([found], reply) => found ?? reply.code(404).send({ message: 'Task not found' })

  app.get('/readyz', async () => ({ status: 'ok' }))

  app.get('/api/tasks', { schema: { querystring, response: { 200: { type: 'array', items: task } } } }, async ({ query }) => {
    const { limit, created_before: before, completed, q } = query
    return sql`SELECT ${columns} FROM task WHERE user_id = ${USER}
      ${before === undefined ? sql`` : sql`AND created_at < ${before}`}
      ${completed === undefined ? sql`` : sql`AND completed = ${completed}`}
      ${q === undefined ? sql`` : sql`AND (title ILIKE ${'%' + q + '%'} OR description ILIKE ${'%' + q + '%'})`}
      ORDER BY created_at DESC, id DESC ${limit === undefined ? sql`` : sql`LIMIT ${limit}`}`
  })

  app.post('/api/tasks', {
    schema: { body: { type: 'object', required: ['title'], properties: fields }, response: { 201: task } }
  }, async ({ body }, reply) => {
    const { title, description = '', completed = false, due = null, priority = null, labels = {} } = body
    const now = new Date()
    const row = {
      ...{ id: uuid7(), user_id: USER, title, description, completed, due, priority, labels: sql.json(labels) },
      ...{ created_at: now, updated_at: now, completed_at: completed ? now : null, version: 1 }
    }
    const [made] = await sql`INSERT INTO task ${sql(row)} RETURNING ${columns}`
    return reply.code(201).header('Location', `/api/tasks/${made.id}`).send(made)
  })

  app.get('/api/tasks/:id', { schema: one }, async ({ params }, reply) =>
    show(await sql`SELECT ${columns} FROM task WHERE id = ${params.id} AND user_id = ${USER}`, reply))

  app.patch('/api/tasks/:id', {
    schema: { ...one, body: { type: 'object', properties: fields } }
  }, async ({ params, body }, reply) => {
    const { title, description, completed, due, priority, labels } = body
    const now = new Date()
    const sent = { title, description, completed, due, priority, labels: labels && sql.json(labels) }
    const row = Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== undefined))
    return show(await sql`UPDATE task SET ${sql({ ...row, updated_at: now })}, version = version + 1
      ${completed === undefined ? sql`` : sql`, completed_at = ${completed ? sql`coalesce(completed_at, ${now})` : null}`}
      WHERE id = ${params.id} AND user_id = ${USER} RETURNING ${columns}`, reply)
  })

  app.post('/api/tasks/:id/toggle', { schema: one }, async ({ params }, reply) => {
    const now = new Date()
    return show(await sql`UPDATE task SET completed = NOT completed, updated_at = ${now}, version = version + 1,
      completed_at = CASE WHEN completed THEN NULL ELSE ${now}::timestamptz END
      WHERE id = ${params.id} AND user_id = ${USER} RETURNING ${columns}`, reply)
  })

  app.delete('/api/tasks/:id', { schema: one }, async ({ params }, reply) =>
    show(await sql`DELETE FROM task WHERE id = ${params.id} AND user_id = ${USER} RETURNING ${columns}`, reply))

  return app
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < 2; worker++) cluster.fork()
  process.on('SIGTERM', () => Object.values(cluster.workers).forEach((worker) => worker.kill('SIGTERM')))
} else {
  const sql = connect()
  const app = build(sql)
  app.addHook('onClose', () => sql.end())
  process.on('SIGTERM', () => app.close().finally(() => process.exit(0)))
  await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
}
