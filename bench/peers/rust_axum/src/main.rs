//! The service on axum, with hyper-util's pooled client to the remote. One thread.
//!
//! Knows both routes of the contract and nothing of limits or metrics. Tokens are rust_token's.

#![forbid(unsafe_code)]

use std::env;
use std::error::Error as _;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use mimalloc::MiMalloc;
use rust_token::{Object, Tokens, is_json, now_s};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{sleep, timeout};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const BODY_BYTES_MAX: usize = 1024 * 1024;
const BACKLOG: u32 = 4096;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REMOTE_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_MAX: usize = 1024;

struct Service {
    tokens: Tokens,
    remote: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Keeps no connections, so that a second try is on a new one.
    second_client: Client<HttpConnector, Full<Bytes>>,
    bearer: Mutex<(u64, HeaderValue)>,
}

impl Service {
    fn new(key: &str, remote: Uri) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = |idle_max| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(idle_max)
                .build(connector.clone())
        };
        Self {
            tokens: Tokens::new(key.as_bytes()),
            remote,
            client: client(IDLE_MAX),
            second_client: client(0),
            bearer: Mutex::new((0, JSON)),
        }
    }

    /// The token that is shown to the remote: signed once a second.
    fn bearer(&self) -> HeaderValue {
        let now = now_s();
        let mut bearer = self.bearer.lock().expect("nobody panics with it");
        if bearer.0 != now {
            *bearer = (
                now,
                HeaderValue::from_bytes(&self.tokens.bearer(now)).expect("it is ASCII"),
            );
        }
        bearer.1.clone()
    }

    /// Posts a login. If its connection was closed instead of an answer, as the remote closes one that was idle, it is
    /// repeated once.
    async fn ask(&self, body: Bytes) -> Result<(StatusCode, Bytes), Error> {
        let response = match self.client.request(self.request(body.clone())).await {
            Err(error) if is_closed(&error) => {
                self.second_client.request(self.request(body)).await?
            }
            other => other?,
        };
        let status = response.status();
        // A reply that is cut short is an empty one: not JSON.
        let reply = response.into_body().collect().await;
        Ok((
            status,
            reply.map(|body| body.to_bytes()).unwrap_or_default(),
        ))
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.remote.clone();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.bearer());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request
    }
}

fn is_closed(error: &Error) -> bool {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<hyper::Error>());
    !error.is_connect() && source.is_some_and(|source| !source.is_parse())
}

/// Passes the login on and signs what comes back.
async fn get_token(State(service): State<Arc<Service>>, body: Bytes) -> Response {
    if !is_json(&body) {
        return failure(StatusCode::BAD_REQUEST, "Request body is not valid JSON.");
    }
    let Ok(Ok((status, reply))) = timeout(REMOTE_TIMEOUT, service.ask(body)).await else {
        return failure(StatusCode::INTERNAL_SERVER_ERROR, "Remote post failure.");
    };
    if status != StatusCode::OK {
        return failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Remote post status failure.",
        );
    }
    match Object::parse(&reply) {
        Some(object) => success(service.tokens.issue(object, now_s())),
        None => failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Can not unmarshal returned json.",
        ),
    }
}

/// Verifies a token and returns its claims.
async fn check_token(State(service): State<Arc<Service>>, request: Request<Body>) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match service
        .tokens
        .check(given.strip_prefix("Bearer ").unwrap_or(given), now_s())
    {
        Ok(verdict) => success(verdict),
        Err(text) => {
            let challenge = (
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"invalid_token\""),
            );
            let body = format!(r#"{{"error":"{text}"}}"#);
            (
                StatusCode::UNAUTHORIZED,
                [(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE), challenge],
                body,
            )
                .into_response()
        }
    }
}

fn success(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn failure(status: StatusCode, message: &str) -> Response {
    let body = format!(r#"{{"message":"{message}"}}"#);
    (
        status,
        [(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)],
        body,
    )
        .into_response()
}

fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let address = (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn required(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn main() -> io::Result<()> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = required("PORT").parse().expect("PORT is not a port");
    let remote = required("REMOTE").parse().expect("REMOTE is not a URL");
    let service = Arc::new(Service::new(&required("KEY"), remote));
    let router = Router::new()
        .route("/getToken", post(get_token))
        .route("/checkToken", get(check_token).post(check_token))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = listen(&host, port)?;
        // Not axum::serve, which has no pipeline_flush and watches each connection for a shutdown: 2.5 % fewer instructions.
        let service = TowerToHyperService::new(router);
        let mut http = http1::Builder::new();
        http.pipeline_flush(true);
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // One that cannot be set costs time, not correctness.
            let _ = stream.set_nodelay(true);
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service.clone()));
        }
    })
}
