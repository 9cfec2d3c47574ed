//! HS256 tokens around JSON texts, for the peers in Rust: sign a remote's reply, verify a token and describe it.
//!
//! Knows the answers of both routes, no HTTP. JSON is validated and passed on as the text that it is, never built up.

#![forbid(unsafe_code)]

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::{AsOut, URL_SAFE_NO_PAD as BASE64};
use ring::hmac;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

const HEADER_TEXT: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// HEADER_TEXT, encoded, with the dot.
const HEADER: &[u8] = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";
/// `{"data":{`, encoded. Nine bytes are three groups, so what follows an object's brace is encoded by itself.
const OPENING: &[u8] = b"eyJkYXRhIjp7";
const GROUP: usize = 3;
const SIGNATURE_ENCODED_BYTES: usize = 43;
const TTL_S: u64 = 12 * 3600;
const BEARER_TTL_S: u64 = 300;

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Whether a text is JSON of any kind.
pub fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

/// A JSON object, without the blanks around it.
#[derive(Clone, Copy)]
pub struct Object<'a>(&'a str);

impl<'a> Object<'a> {
    /// Takes a text that is a JSON object, and nothing else.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let value: &RawValue = serde_json::from_slice(text).ok()?;
        value.get().starts_with('{').then(|| Self(value.get()))
    }
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Option<std::borrow::Cow<'a, str>>,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// Signs and verifies with one key. Its inner and outer states are made once.
pub struct Tokens {
    key: hmac::Key,
}

impl Tokens {
    /// Prepares the key.
    pub fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// Makes the bearer for the remote: `Bearer …`.
    pub fn bearer(&self, now: u64) -> Vec<u8> {
        let mut text = b"Bearer ".to_vec();
        let start = text.len();
        text.extend_from_slice(HEADER);
        BASE64.encode_append(
            format!(
                r#"{{"data":{{"service":"bench"}},"exp":{}}}"#,
                now + BEARER_TTL_S
            ),
            &mut text,
        );
        self.sign(&mut text, start);
        text
    }

    /// Makes the answer to a login: `{"token":"…"}`. The reply is encoded where it stands, not copied first.
    pub fn issue(&self, reply: Object<'_>, now: u64) -> Vec<u8> {
        const BEFORE: &[u8] = br#"{"token":""#;
        let data = &reply.0.as_bytes()[1..];
        let (groups, rest) = data.split_at(data.len() / GROUP * GROUP);
        let mut answer = Vec::with_capacity(BASE64.encoded_length(data.len()) + 192);
        answer.extend_from_slice(BEFORE);
        answer.extend_from_slice(HEADER);
        answer.extend_from_slice(OPENING);
        BASE64.encode_append(groups, &mut answer);
        let mut last = [0; 40];
        let mut free = &mut last[..];
        free.write_all(rest)
            .and_then(|()| write!(free, r#","exp":{}}}"#, now + TTL_S))
            .expect("40 bytes are enough");
        let unused = free.len();
        BASE64.encode_append(&last[..last.len() - unused], &mut answer);
        self.sign(&mut answer, BEFORE.len());
        answer.extend_from_slice(br#""}"#);
        answer
    }

    /// Verifies a token. Returns the body of the 200.
    ///
    /// # Errors
    ///
    /// The text for the 401.
    pub fn check(&self, token: &str, now: u64) -> Result<Vec<u8>, &'static str> {
        const SEGMENTS: &str = "token contains an invalid number of segments";
        const MALFORMED: &str = "token is malformed";
        if token.is_empty() {
            return Err("no token present in request");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(SEGMENTS)?;
        let (header, claims) = signed.split_once('.').ok_or(SEGMENTS)?;
        let header = if header.as_bytes() == &HEADER[..HEADER.len() - 1] {
            None
        } else {
            if claims.contains('.') {
                return Err(SEGMENTS);
            }
            let text: Vec<u8> = BASE64.decode_type(header).map_err(|_| MALFORMED)?;
            let object = Object::parse(&text).ok_or(MALFORMED)?;
            let header: Header = serde_json::from_str(object.0).map_err(|_| MALFORMED)?;
            if header.crit.is_some() {
                return Err(MALFORMED);
            }
            if header.alg.as_deref() != Some("HS256") {
                return Err("signing method (alg) is unavailable.");
            }
            Some(text)
        };
        self.verify(signed.as_bytes(), signature.as_bytes())?;

        let header = header.as_deref().unwrap_or(HEADER_TEXT.as_bytes());
        let mut answer = Vec::with_capacity(token.len() + header.len() + claims.len() + 192);
        answer.extend_from_slice(br#"{"Raw":""#);
        answer.extend_from_slice(token.as_bytes());
        answer.extend_from_slice(br#"","Method":{"Name":"HS256","Hash":5},"Header":"#);
        answer.extend_from_slice(header);
        answer.extend_from_slice(br#","Claims":"#);
        let start = answer.len();
        // A dot is not of the alphabet: more than three segments end here.
        BASE64
            .decode_append(claims, &mut answer)
            .map_err(|_| MALFORMED)?;
        let text = Object::parse(&answer[start..]).ok_or(MALFORMED)?;
        let found: Claims = serde_json::from_str(text.0).map_err(|_| MALFORMED)?;
        if found.exp.ok_or("token has no expiry")? <= now as f64 {
            return Err("Token is expired");
        }
        if found.nbf.is_some_and(|from| from > now as f64) {
            return Err("Token is not valid yet");
        }
        answer.extend_from_slice(br#","Signature":""#);
        answer.extend_from_slice(signature.as_bytes());
        answer.extend_from_slice(br#"","Valid":true}"#);
        Ok(answer)
    }

    /// Appends dot and signature to the text from `start` on.
    fn sign(&self, text: &mut Vec<u8>, start: usize) {
        let tag = hmac::sign(&self.key, &text[start..]);
        text.push(b'.');
        BASE64.encode_append(tag, text);
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), &'static str> {
        let mut tag = [0; SIGNATURE_ENCODED_BYTES / 4 * GROUP + GROUP];
        if signature.len() != SIGNATURE_ENCODED_BYTES {
            return Err("signature is invalid");
        }
        let tag = BASE64
            .decode(signature, tag[..].as_out())
            .map_err(|_| "token is malformed")?;
        hmac::verify(&self.key, signed, tag).map_err(|_| "signature is invalid")
    }
}
