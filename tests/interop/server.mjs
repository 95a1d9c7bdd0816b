// oidc-provider and an API that takes its tokens, over TLS on a free port of this machine.
//
// Prints one line of JSON when it is ready, and ends when its standard input does.
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { EmbeddedJWK, calculateJwkThumbprint, jwtVerify } from 'jose';
import Provider from 'oidc-provider';

process.stdin.on('end', () => process.exit()).on('error', () => process.exit()).resume();
// oidc-provider says there what a server in production would set.
console.info = () => {};

const read = (path) => readFileSync(new URL(path, import.meta.url));

const server = createServer({
  cert: read('certificate.pem'),
  key: read('../keys/p256.pem'),
  // Clients may have a certificate, and which it has to be is part of their registration.
  requestCert: true,
  rejectUnauthorized: false,
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const issuer = `https://127.0.0.1:${server.address().port}`;

const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const provider = new Provider(issuer, {
  clientDefaults: {
    grant_types: ['client_credentials'],
    id_token_signed_response_alg: 'ES256',
    redirect_uris: [],
    response_types: [],
  },
  cookies: { keys: ['unused'] },
  clientAuthMethods: [
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    'self_signed_tls_client_auth',
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    // RFC 9449, and no proof is taken without a nonce.
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
      selfSignedTlsClientAuth: true,
    },
    // RFC 7591, but the client chooses its id and its secret.
    registration: {
      enabled: true,
      idFactory: (ctx) => ctx.oidc.body.client_id,
      secretFactory: (ctx) => ctx.oidc.body.client_secret,
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({ audience: resource, scope: 'orders:read' }),
    },
    revocation: { enabled: true },
  },
  jwks: { keys: [signing.export({ format: 'jwk' })] },
  scopes: ['orders:read', 'orders:write'],
  ttl: { ClientCredentials: 600 },
});
provider.on('server_error', (ctx, error) => console.error(error));

const sha256 = (data) => createHash('sha256').update(data).digest('base64url');

// What the API wants to see in the next proof of each client, and the proofs that it has seen.
const nonces = new Map();
const nonceFor = (client) => {
  if (!nonces.has(client)) nonces.set(client, randomUUID());
  return nonces.get(client);
};
const used = new Set();

// What is wrong with the proof that goes with this token (RFC 9449 section 4.3).
async function wrongProof(request, token, { clientId, jkt }) {
  const { payload, protectedHeader } = await jwtVerify(request.headers.dpop ?? '', EmbeddedJWK, {
    algorithms: ['ES256', 'EdDSA'],
    typ: 'dpop+jwt',
  }).catch(() => ({}));
  if (!payload) return 'invalid_dpop_proof';
  if (payload.nonce !== nonceFor(clientId)) return 'use_dpop_nonce';
  const isFor =
    payload.htm === request.method &&
    payload.htu === issuer + new URL(request.url, issuer).pathname &&
    payload.ath === sha256(token) &&
    Math.abs(Date.now() / 1000 - payload.iat) < 60 &&
    (await calculateJwkThumbprint(protectedHeader.jwk)) === jkt;
  if (!isFor || used.has(payload.jti)) return 'invalid_dpop_proof';
  used.add(payload.jti);
}

// What is wrong with the token, or with what it is bound to.
async function wrong(request, scheme, token, found) {
  if (!found?.isValid) return 'invalid_token';
  if ((scheme === 'DPoP') !== Boolean(found.jkt)) return 'invalid_token';
  if (found.jkt) return wrongProof(request, token, found);
  // RFC 8705 section 3.
  const certificate = request.socket.getPeerX509Certificate();
  const expected = found['x5t#S256'];
  if (expected && (!certificate || sha256(certificate.raw) !== expected)) return 'invalid_token';
}

async function api(request, response) {
  const [, scheme, token] = /^(Bearer|DPoP) (\S+)$/.exec(request.headers.authorization) ?? [];
  const found = token && (await provider.ClientCredentials.find(token));
  const error = token && (await wrong(request, scheme, token, found));
  if (token && !error) {
    const { aud, clientId, scope } = found;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ aud, client_id: clientId, scope }));
  } else {
    const why = error ? `, error="${error}"` : '';
    const challenge = `${scheme ?? 'Bearer'} realm="orders"${why}`;
    const wanted = error === 'use_dpop_nonce' ? { 'dpop-nonce': nonceFor(found.clientId) } : {};
    response.writeHead(401, { 'www-authenticate': challenge, ...wanted }).end();
  }
}

// Nobody is told of it.
function changeNonce(request, response) {
  nonces.delete(new URL(request.url, issuer).searchParams.get('client_id'));
  response.writeHead(204).end();
}

const oauth = provider.callback();
const routes = { '/orders': api, '/nonce': changeNonce };
server.on('request', (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  (routes[pathname] ?? oauth)(request, response);
});

// The public halves of the keys that the tests sign with.
const keys = ['rsa', 'p256', 'ed25519'].map((name) => {
  const key = createPublicKey(read(`../keys/${name}.pem`));
  return { kid: name, ...key.export({ format: 'jwk' }) };
});
console.log(JSON.stringify({ issuer, jwks: { keys } }));
