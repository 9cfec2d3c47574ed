// The service on Node: fastify serves, undici asks the remote, fast-jwt signs and verifies. One process.

import Fastify from 'fastify'
import { createSigner, createVerifier } from 'fast-jwt'
import { Pool } from 'undici'

const TTL_S = 12 * 3600
const BEARER_TTL_S = 300
const { HOST = '127.0.0.1', PORT, REMOTE, KEY } = process.env
const remote = new URL(REMOTE)
const pool = new Pool(remote.origin, { connections: 256, pipelining: 1, keepAliveTimeout: 60_000, headersTimeout: 5000, bodyTimeout: 5000 })
const path = remote.pathname + remote.search

// `exp` is put into the claims here, so that neither signer nor verifier needs options of their own a request.
const sign = createSigner({ key: KEY, algorithm: 'HS256', noTimestamp: true })
const verify = createVerifier({ key: KEY, algorithms: ['HS256'], requiredClaims: ['exp'], complete: true, cache: 4096 })

const now = () => Math.floor(Date.now() / 1000)

let bearer = ''
let bearerSecond = 0
function bearerNow () {
  const second = now()
  if (second !== bearerSecond) {
    bearer = 'Bearer ' + sign({ data: { service: 'bench' }, exp: second + BEARER_TTL_S })
    bearerSecond = second
  }
  return bearer
}

const app = Fastify({ logger: false, keepAliveTimeout: 75_000, bodyLimit: 1024 * 1024 })

// The login goes to the remote as it came; it is parsed only to see that it is JSON.
app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
  try {
    JSON.parse(body)
    done(null, body)
  } catch {
    done(Object.assign(new Error('Request body is not valid JSON.'), { statusCode: 400 }))
  }
})

const tokenSchema = { response: { 200: { type: 'object', properties: { token: { type: 'string' } } } } }

app.post('/getToken', { schema: tokenSchema }, async (request, reply) => {
  let answer, text
  try {
    answer = await pool.request({
      method: 'POST', path, body: request.body,
      headers: { authorization: bearerNow(), 'content-type': 'application/json', accept: 'application/json' }
    })
    text = await answer.body.text()
  } catch {
    reply.code(500)
    return { message: 'Remote post failure.' }
  }
  if (answer.statusCode !== 200) {
    reply.code(500)
    return { message: 'Remote post status failure.', status: answer.statusCode }
  }
  let data
  try { data = JSON.parse(text) } catch {}
  if (data === null || typeof data !== 'object' || Array.isArray(data)) {
    reply.code(500)
    return { message: 'Can not unmarshal returned json.' }
  }
  reply.header('cache-control', 'no-store')
  return { token: sign({ data, exp: now() + TTL_S }) }
})

function checkToken (request, reply) {
  const given = request.headers.authorization ?? ''
  const token = given.startsWith('Bearer ') ? given.slice(7) : given
  let verified
  try {
    verified = verify(token)
  } catch (error) {
    reply.code(401).header('www-authenticate', 'Bearer error="invalid_token"').send({ error: error.message })
    return
  }
  reply.header('cache-control', 'no-store').send({
    Raw: token,
    Method: { Name: 'HS256', Hash: 5 },
    Header: verified.header,
    Claims: verified.payload,
    Signature: verified.signature,
    Valid: true
  })
}

for (const method of ['GET', 'POST']) app.route({ method, url: '/checkToken', handler: checkToken })

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(0))
await app.listen({ port: Number(PORT), host: HOST, backlog: 4096 })
