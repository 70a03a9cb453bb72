//! Connections: how many, how slow, and how they end.

use crate::handler::Shared;
use crate::https;
use crate::limits::{BACKLOG, HEAD_BYTES, HEAD_WITHIN, HEADERS, STOP_WITHIN};
use crate::log::RawLog;
use crate::settings::GatewaySettings;
use crate::sns::Fetch;
use crate::stats::Stats;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// How long to wait when no connection can be accepted: the process has too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What is shown beside the hooks.
#[derive(Clone)]
pub struct Pages {
    /// What `/metrics` shows.
    pub metrics: Arc<dyn Fn(&Stats) -> String + Send + Sync>,
    /// Its media type.
    pub metrics_type: &'static str,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

/// The running gateway. Dropping it ends it; [`Gateway::stop`] lets requests under way end first.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    stats: Arc<Stats>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Listens, and serves until it is stopped.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(
        settings: &GatewaySettings,
        log: Arc<dyn RawLog>,
        pages: Pages,
    ) -> std::io::Result<Self> {
        Self::start_with(settings, log, pages, Arc::new(https::get)).await
    }

    /// As [`Gateway::start`], with another way to fetch what SNS names.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_with(
        settings: &GatewaySettings,
        log: Arc<dyn RawLog>,
        pages: Pages,
        fetch: Fetch,
    ) -> std::io::Result<Self> {
        let listener = listen(settings.listen)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(settings, log, pages, fetch));
        let stats = shared.stats.clone();
        let (stop, stopped) = watch::channel(false);
        let task = spawn(listener, shared, settings.connections, stopped);
        Ok(Self { address, stats, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// What it counted.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Takes no more connections, and waits a while for requests under way: they are answered.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(STOP_WITHIN, &mut self.task).await.is_err() {
            tracing::warn!("the gateway stops with requests under way; they were answered by nothing");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Compiled once, in this crate: what an `async fn` does is compiled again in each crate that awaits it.
fn spawn(
    listener: TcpListener,
    shared: Arc<Shared>,
    connections: usize,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(accept(listener, shared, connections, stopped))
}

/// Listens with a queue that a burst of connections fits into.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, most: usize, mut stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(most));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES)
        .pipeline_flush(true);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopped) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted; raise the limit of open files");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            shared.stats.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (shared, builder, stopped) = (shared.clone(), builder.clone(), stopped.clone());
        tokio::spawn(async move {
            shared.stats.connections.fetch_add(1, Ordering::Relaxed);
            serve(&builder, stream, shared.clone(), stopped).await;
            shared.stats.connections.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
    drop(listener);
    // Every connection has ended when all of their places are free.
    let _ = room.acquire_many(u32::try_from(most).unwrap_or(u32::MAX)).await;
}

/// Waits until the gateway is told to stop, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve(
    builder: &http1::Builder,
    stream: TcpStream,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A peer that goes away, is slow or talks no HTTP is no news.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
