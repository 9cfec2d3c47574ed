//! The service on bare hyper: its HTTP/1 server, connections to the remote by hand, one thread, no framework.
//!
//! Knows both routes of the contract and nothing of limits or metrics. Tokens are rust_token's.

#![forbid(unsafe_code)]

mod remote;

use std::cell::RefCell;
use std::convert::Infallible;
use std::env;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, WWW_AUTHENTICATE,
};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use mimalloc::MiMalloc;
use rust_token::{Object, Tokens, is_json, now_s};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

use crate::remote::Remote;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const PLAIN_JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const BODY_BYTES_MAX: usize = 1024 * 1024;
const BACKLOG: u32 = 4096;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Answer = Response<Full<Bytes>>;

struct Service {
    tokens: Tokens,
    remote: Remote,
    path: Uri,
    /// What goes to the remote, by the second in which its bearer was signed.
    head: RefCell<(u64, HeaderMap)>,
}

impl Service {
    fn new(key: &str, url: &Uri) -> io::Result<Self> {
        let authority = url.authority().expect("REMOTE has a host");
        let mut head = HeaderMap::with_capacity(4);
        head.insert(
            HOST,
            HeaderValue::from_str(authority.as_str()).expect("a host is ASCII"),
        );
        head.insert(CONTENT_TYPE, PLAIN_JSON);
        head.insert(ACCEPT, PLAIN_JSON);
        Ok(Self {
            tokens: Tokens::new(key.as_bytes()),
            remote: Remote::new(resolve(
                authority.host(),
                authority.port_u16().unwrap_or(80),
            )?),
            path: url
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .parse()
                .expect("it is a part of a URL"),
            head: RefCell::new((0, head)),
        })
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match (request.uri().path(), request.method()) {
            ("/getToken", &Method::POST) => self.get_token(request.into_body()).await,
            ("/checkToken", &Method::GET | &Method::POST) => self.check_token(request.headers()),
            ("/getToken", _) => not_allowed("POST"),
            ("/checkToken", _) => not_allowed("GET, POST"),
            _ => failure(StatusCode::NOT_FOUND, "Not found."),
        }
    }

    /// Passes the login on and signs what comes back.
    async fn get_token(&self, body: Incoming) -> Answer {
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return failure(
                StatusCode::BAD_REQUEST,
                "Request body is too long, or cut short.",
            );
        };
        let body = body.to_bytes();
        if !is_json(&body) {
            return failure(StatusCode::BAD_REQUEST, "Request body is not valid JSON.");
        }
        let Ok((status, reply)) = self.remote.ask(|| self.request(body.clone())).await else {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "Remote post failure.");
        };
        if status != StatusCode::OK {
            return failure(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Remote post status failure.",
            );
        }
        match Object::parse(&reply) {
            Some(object) => answer(StatusCode::OK, self.tokens.issue(object, now_s())),
            None => failure(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Can not unmarshal returned json.",
            ),
        }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let now = now_s();
        let mut head = self.head.borrow_mut();
        if head.0 != now {
            head.0 = now;
            head.1.insert(
                AUTHORIZATION,
                HeaderValue::from_maybe_shared(self.tokens.bearer(now)).expect("it is ASCII"),
            );
        }
        request.headers_mut().clone_from(&head.1);
        request
    }

    /// Verifies a token and returns its claims.
    fn check_token(&self, headers: &HeaderMap) -> Answer {
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        match self
            .tokens
            .check(given.strip_prefix("Bearer ").unwrap_or(given), now_s())
        {
            Ok(verdict) => answer(StatusCode::OK, verdict),
            Err(text) => {
                let mut answer =
                    answer(StatusCode::UNAUTHORIZED, format!(r#"{{"error":"{text}"}}"#));
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                answer
            }
        }
    }
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    answer
}

fn failure(status: StatusCode, message: &str) -> Answer {
    answer(status, format!(r#"{{"message":"{message}"}}"#))
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = failure(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.");
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(address: SocketAddr, service: Rc<Service>) -> io::Result<()> {
    let listener = listen(address)?;
    let sweeping = service.clone();
    spawn_local(async move { sweeping.remote.sweep().await });
    let mut http = http1::Builder::new();
    http.pipeline_flush(true);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // One that cannot be set costs time, not correctness.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let answers = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        spawn_local(http.serve_connection(TokioIo::new(stream), answers));
    }
}

fn required(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn main() -> io::Result<()> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let address = resolve(&host, required("PORT").parse().expect("PORT is not a port"))?;
    let url = required("REMOTE").parse().expect("REMOTE is not a URL");
    let service = Rc::new(Service::new(&required("KEY"), &url)?);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(serve(address, service))
}
