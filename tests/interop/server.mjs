// oidc-provider and an API that takes its tokens, over TLS on a free port of this machine.
//
// Prints one line of JSON when it is ready, and ends when its standard input does.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
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
    mTLS: {
      enabled: true,
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

async function api(request, response) {
  const [, token] = /^Bearer (\S+)$/.exec(request.headers.authorization) ?? [];
  const found = token && (await provider.ClientCredentials.find(token));
  if (found?.isValid) {
    const { aud, clientId, scope } = found;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ aud, client_id: clientId, scope }));
  } else {
    const error = token ? ', error="invalid_token"' : '';
    response.writeHead(401, { 'www-authenticate': `Bearer realm="orders"${error}` }).end();
  }
}

const oauth = provider.callback();
server.on('request', (request, response) => (request.url === '/orders' ? api : oauth)(request, response));

// The public halves of the keys that the tests sign with.
const keys = ['rsa', 'p256', 'ed25519'].map((name) => {
  const key = createPublicKey(read(`../keys/${name}.pem`));
  return { kid: name, ...key.export({ format: 'jwk' }) };
});
console.log(JSON.stringify({ issuer, jwks: { keys } }));
