//! The remote, and the connections to it. Knows HTTP, no tokens.
//!
//! A task for each connection drives it, so the close of an idle one is seen at once. Tried against one task for the
//! login and its connection: that takes 2 % more instructions, as it polls the client's side each time, too.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{interval, timeout};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TURN: Duration = Duration::from_secs(1);
const REPLY_TURNS: u64 = 5;
const IDLE_TURNS: u64 = 60;
const IDLE_MAX: usize = 1024;

/// It could not be asked, or its reply was cut short.
pub struct Failure;

impl<T: Into<Box<dyn std::error::Error>>> From<T> for Failure {
    fn from(_: T) -> Self {
        Self
    }
}

/// What a connection is doing, for the sweep. A timer for each login would cost 2 % of its instructions.
struct Watch {
    driver: AbortHandle,
    since: Cell<u64>,
    is_asked: Cell<bool>,
    is_late: Cell<bool>,
}

/// One connection.
struct Session {
    sender: SendRequest<Full<Bytes>>,
    watch: Rc<Watch>,
}

/// The remote, with the connections that wait for their next request. The one that was used last is used first.
pub struct Remote {
    address: SocketAddr,
    idle: RefCell<Vec<Session>>,
    all: RefCell<Vec<Rc<Watch>>>,
    turn: Cell<u64>,
}

impl Remote {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: RefCell::default(),
            all: RefCell::default(),
            turn: Cell::new(0),
        }
    }

    /// Sends a request and waits for the whole reply. If a reused connection was closed in place of an answer, the
    /// request is repeated once, on a new connection.
    pub async fn ask(
        &self,
        request: impl Fn() -> Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        if let Some(session) = self.take().await {
            let watch = session.watch.clone();
            match self.ask_on(session, request()).await {
                Err(Some(error)) if !error.is_parse() && !watch.is_late.get() => (),
                other => return other.map_err(|_| Failure),
            }
        }
        let session = self.dial().await?;
        self.ask_on(session, request()).await.map_err(|_| Failure)
    }

    /// Sends a request on one connection. The error says why there was no answer, if there was none.
    async fn ask_on(
        &self,
        mut session: Session,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Option<hyper::Error>> {
        session.watch.since.set(self.turn.get());
        session.watch.is_asked.set(true);
        let response = session.sender.send_request(request).await.map_err(Some)?;
        let status = response.status();
        let reply = whole(response.into_body()).await.map_err(|_| None)?;
        self.put(session);
        Ok((status, reply))
    }

    async fn dial(&self) -> Result<Session, Failure> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let watch = Rc::new(Watch {
            driver: spawn_local(connection).abort_handle(),
            since: Cell::new(self.turn.get()),
            is_asked: Cell::new(false),
            is_late: Cell::new(false),
        });
        self.all.borrow_mut().push(watch.clone());
        Ok(Session { sender, watch })
    }

    async fn take(&self) -> Option<Session> {
        loop {
            let mut session = self.idle.borrow_mut().pop()?;
            if session.sender.ready().await.is_ok() {
                return Some(session);
            }
        }
    }

    fn put(&self, session: Session) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            session.watch.since.set(self.turn.get());
            session.watch.is_asked.set(false);
            idle.push(session);
        }
    }

    /// Once a second, for ever, closes what has been idle or waiting for a reply for too long.
    pub async fn sweep(&self) {
        let mut turns = interval(TURN);
        loop {
            turns.tick().await;
            self.turn.set(self.turn.get() + 1);
            self.all.borrow_mut().retain(|watch| self.is_kept(watch));
            self.idle
                .borrow_mut()
                .retain(|session| !session.sender.is_closed());
        }
    }

    fn is_kept(&self, watch: &Watch) -> bool {
        if watch.driver.is_finished() {
            return false;
        }
        let turns = if watch.is_asked.get() {
            REPLY_TURNS
        } else {
            IDLE_TURNS
        };
        let is_late = self.turn.get() - watch.since.get() > turns;
        if is_late {
            watch.is_late.set(true);
            watch.driver.abort();
        }
        !is_late
    }
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
