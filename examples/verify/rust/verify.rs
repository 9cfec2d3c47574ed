//! Verifies tokens of a JWKS: reads one a line, prints `valid SUB` or `invalid REASON`.
//!
//! JWKS_URL (https, but on your own machine), ISSUER and AUDIENCE are required. ALGORITHMS names what your issuer signs with.
//! jsonwebtoken does not fetch keys, so `Keys` does: it keeps the set for 10 minutes and fetches it again for an unknown kid,
//! 30 s after the last fetch at the earliest.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

const MAX_AGE: Duration = Duration::from_secs(600);
const COOLDOWN: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Never HS256: its secret would have to be published.
const ASYMMETRIC: [Algorithm; 4] = [
    Algorithm::ES256,
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::EdDSA,
];

type Failure = Box<dyn Error>;

/// The keys of the JWKS. Make one for the whole process (behind a lock, where several threads verify).
struct Keys {
    url: String,
    agent: ureq::Agent,
    set: JwkSet,
    fetched: Option<Instant>,
}

impl Keys {
    fn new(url: String) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .build();
        Keys {
            url,
            agent: config.into(),
            set: JwkSet { keys: vec![] },
            fetched: None,
        }
    }

    /// The key of that kid, and its own algorithm: the token's header does not choose.
    fn find(&mut self, kid: &str) -> Result<(DecodingKey, Algorithm), Failure> {
        let age = self.fetched.map(|at| at.elapsed());
        if age.is_none_or(|age| age > MAX_AGE || (age > COOLDOWN && self.set.find(kid).is_none())) {
            self.set = self.agent.get(&self.url).call()?.body_mut().read_json()?;
            self.fetched = Some(Instant::now());
        }
        let jwk = self.set.find(kid).ok_or("unknown key")?;
        let algorithm = jwk
            .common
            .key_algorithm
            .ok_or("key without algorithm")?
            .to_string()
            .parse()?;
        Ok((DecodingKey::from_jwk(jwk)?, algorithm))
    }
}

/// `iss` is here to be a text: Validation alone would take a list that has our issuer in it.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "iss")]
    _iss: String,
    sub: String,
}

struct Verifier {
    keys: Keys,
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
}

impl Verifier {
    /// The claims of a valid token, or why it is not valid.
    fn verify(&mut self, token: &[u8]) -> Result<Claims, Failure> {
        let kid = decode_header(token)?.kid.ok_or("token without kid")?;
        let (key, algorithm) = self.keys.find(&kid)?;
        if !self.algorithms.contains(&algorithm) {
            return Err("algorithm not accepted".into());
        }
        let mut validation = Validation::new(algorithm); // the header has to name the same
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.validate_nbf = true;
        validation.leeway = 60;
        Ok(decode::<Claims>(token, &key, &validation)?.claims)
    }
}

fn main() -> Result<(), Failure> {
    let required = |name: &str| env::var(name).map_err(|_| format!("{name} is required"));
    let names = env::var("ALGORITHMS").unwrap_or("ES256".into());
    let algorithms = names
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<Algorithm>, _>>()?;
    if !algorithms
        .iter()
        .all(|algorithm| ASYMMETRIC.contains(algorithm))
    {
        return Err(format!("ALGORITHMS may name {ASYMMETRIC:?}").into());
    }
    let mut verifier = Verifier {
        keys: Keys::new(required("JWKS_URL")?),
        issuer: required("ISSUER")?,
        audience: required("AUDIENCE")?,
        algorithms,
    };
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        match verifier.verify(line?.trim_ascii()) {
            Ok(claims) => writeln!(output, "valid {}", claims.sub)?,
            Err(failure) => {
                // Put on one line: it may quote the token's header, which anyone can write.
                let reason = failure.to_string();
                writeln!(
                    output,
                    "invalid {}",
                    reason.split_whitespace().collect::<Vec<_>>().join(" ")
                )?;
            }
        }
        output.flush()?;
    }
    Ok(())
}
