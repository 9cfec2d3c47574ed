//! The remote, and the connections to it. Knows HTTP, no tokens.
//!
//! hyper's client is two halves that meet in a channel, usually of two tasks. Here one task polls both: the one that
//! serves the login. So a reply wakes it at once, and a client that goes away takes its connection with it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
const IDLE_MAX: usize = 1024;

/// It could not be asked, or its reply was cut short.
pub struct Failure;

impl<T: Into<Box<dyn std::error::Error>>> From<T> for Failure {
    fn from(_: T) -> Self {
        Self
    }
}

/// One connection.
struct Session {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<TcpStream>, Full<Bytes>>,
    is_reused: bool,
    idle_since: Instant,
}

impl Session {
    async fn dial(address: SocketAddr) -> Result<Self, Failure> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            connection,
            is_reused: false,
            idle_since: Instant::now(),
        })
    }

    /// Whether the next request can be sent. Sees a close that the kernel has seen; it wakes nobody.
    fn is_usable(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.connection)
            .poll(&mut context)
            .is_pending()
            && self.sender.is_ready()
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let response = self.sender.send_request(request);
        drive(&mut self.connection, response).await
    }

    async fn whole(&mut self, body: Incoming) -> hyper::Result<Bytes> {
        drive(&mut self.connection, whole(body)).await
    }
}

/// Polls a connection until what waits for something of it is done. The connection alone is woken: by its socket.
async fn drive<T>(
    connection: &mut Connection<TokioIo<TcpStream>, Full<Bytes>>,
    waiting: impl Future<Output = hyper::Result<T>>,
) -> hyper::Result<T> {
    let mut waiting = pin!(waiting);
    poll_fn(|context| {
        loop {
            let ended = Pin::new(&mut *connection).poll(context);
            let found = waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            match (found, ended) {
                (Poll::Ready(found), _) => return Poll::Ready(found),
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
                (Poll::Pending, Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
                (Poll::Pending, Poll::Ready(Ok(()))) => continue,
            }
        }
    })
    .await
}

/// Collects a body. One that came in one piece is not copied.
async fn whole(mut body: Incoming) -> hyper::Result<Bytes> {
    let expected = body.size_hint().exact().unwrap_or(0) as usize;
    let mut pieces = BytesMut::new();
    loop {
        let piece = match body.frame().await {
            None => return Ok(pieces.freeze()),
            Some(frame) => frame?.into_data().unwrap_or_default(),
        };
        if pieces.is_empty() {
            if body.is_end_stream() {
                return Ok(piece);
            }
            pieces.reserve(expected);
        }
        pieces.extend_from_slice(&piece);
    }
}

/// The remote, with the connections that wait for their next request. The one that was used last is used first.
pub struct Remote {
    address: SocketAddr,
    idle: RefCell<Vec<Session>>,
}

impl Remote {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: RefCell::default(),
        }
    }

    /// Sends a request and waits for the whole reply. If a reused connection was closed in place of an answer, the
    /// request is repeated once, on a new connection.
    pub async fn ask(
        &self,
        request: impl Fn() -> Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        timeout(REPLY_TIMEOUT, async {
            let mut session = match self.take() {
                Some(session) => session,
                None => Session::dial(self.address).await?,
            };
            let response = match session.send(request()).await {
                Err(error) if session.is_reused && !error.is_parse() => {
                    session = Session::dial(self.address).await?;
                    session.send(request()).await?
                }
                other => other?,
            };
            let status = response.status();
            let reply = session.whole(response.into_body()).await?;
            self.put(session);
            Ok((status, reply))
        })
        .await?
    }

    fn take(&self) -> Option<Session> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut session) = idle.pop() {
            if session.is_usable() {
                return Some(session);
            }
        }
        None
    }

    fn put(&self, mut session: Session) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            session.is_reused = true;
            session.idle_since = Instant::now();
            idle.push(session);
        }
    }

    /// Closes what was idle for too long or what the remote has closed, for ever.
    pub async fn sweep(&self) {
        let mut turns = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            turns.tick().await;
            self.idle.borrow_mut().retain_mut(|session| {
                session.idle_since.elapsed() < IDLE_TIMEOUT && session.is_usable()
            });
        }
    }
}
