// Verifies tokens of a JWKS: reads one a line, prints `valid SUB` or `invalid REASON`. jose's createRemoteJWKSet holds the keys.
// JWKS_URL (https, but on your own machine), ISSUER and AUDIENCE are required. ALGORITHMS names what your issuer signs with.
import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";

const { JWKS_URL, ISSUER, AUDIENCE, ALGORITHMS = "ES256" } = process.env;
const asymmetric = ["ES256", "RS256", "PS256", "EdDSA"]; // never HS256: its secret would have to be published
const algorithms = ALGORITHMS.split(",");
// An issuer that is undefined would not be checked at all.
if (!JWKS_URL || !ISSUER || !AUDIENCE) throw new Error("JWKS_URL, ISSUER and AUDIENCE are required.");
if (!algorithms.every((name) => asymmetric.includes(name))) throw new Error(`ALGORITHMS may name ${asymmetric}.`);

// One for the whole process. It keeps the set for 10 minutes; an unknown kid fetches it again, 30 s after the last fetch at
// the earliest.
const keys = createRemoteJWKSet(new URL(JWKS_URL));

/** The claims of a valid token; else an error that says why it is not valid. */
async function verify(token) {
  const { payload } = await jwtVerify(token, keys, {
    algorithms,
    issuer: ISSUER,
    audience: AUDIENCE,
    requiredClaims: ["sub", "exp"],
    clockTolerance: 60, // seconds
  });
  return payload;
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(`valid ${(await verify(line.trim())).sub}`);
  } catch (error) {
    // Not the error's text: it may quote the token's header, which anyone can write.
    console.log(`invalid ${[error.code ?? error.name, error.claim].filter(Boolean).join(" ")}`);
  }
}
