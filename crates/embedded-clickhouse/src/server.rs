//! ClickHouse's HTTP interface on a port.

use std::future::IntoFuture;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::handler::{self, Context};
use crate::limits::SHUTDOWN_GRACE;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ServerError {
    /// Where it should have listened.
    pub address: SocketAddr,
    /// What the system said.
    pub source: std::io::Error,
}

/// A running server. It stops when it is dropped; [`Server::stop`] waits for what is under way.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `engine` on `listen`; port 0 takes a free one. There are no users and passwords, so it should be
    /// a loopback address.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub async fn start(engine: Engine, listen: SocketAddr) -> Result<Server, ServerError> {
        Server::start_with(engine, listen, Router::new()).await
    }

    /// As [`Server::start`], with further routes on the same port. They must not be `/`, `/query`, `/ping` or
    /// `/replicas_status`, and must not have a fallback.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(
        engine: Engine,
        listen: SocketAddr,
        extra: Router,
    ) -> Result<Server, ServerError> {
        let listener = TcpListener::bind(listen).await;
        let bound = listener.and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        let (listener, address) = bound.map_err(|source| ServerError { address: listen, source })?;
        let routes = routes(engine, address.ip().is_loopback()).merge(extra);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = serve(listener, routes, stopped);
        Ok(Server { address, stop: Some(stop), task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for clients, such as `http://127.0.0.1:8123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more connections and waits a while for requests that are under way.
    pub async fn stop(mut self) {
        self.stop.take();
        if tokio::time::timeout(SHUTDOWN_GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

// Both are functions of their own so that they are compiled once, in this crate: what an `async fn` does is compiled
// again in each crate that awaits it.

fn routes(engine: Engine, is_loopback: bool) -> Router {
    Router::new()
        .route("/", get(handler::query).post(handler::query))
        .route("/query", get(handler::query).post(handler::query))
        .route("/ping", get(handler::ping))
        .route("/replicas_status", get(handler::ping))
        .fallback(handler::unknown)
        // Bodies have limits of their own, which are those of statements and inserts.
        .layer(DefaultBodyLimit::disable())
        .with_state(Context::new(engine, is_loopback))
}

fn serve(listener: TcpListener, routes: Router, stopped: oneshot::Receiver<()>) -> JoinHandle<()> {
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    tokio::spawn(async move {
        if let Err(error) = serving.into_future().await {
            tracing::error!(%error, "the ClickHouse interface ended");
        }
    })
}
