//! `/metrics`, `/healthz` and `/readyz` of a run on Kafka.

use super::exposition::MEDIA_TYPE;
use super::metrics::{self, Watched};
use super::process;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use kafka::Status;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The endpoint. Dropping it ends it.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Endpoint {
    /// Listens, and serves until it is dropped.
    ///
    /// # Errors
    /// When the address cannot be listened on: it is taken, or is not this machine's.
    pub fn start(listen: SocketAddr, watched: Watched, handle: &Handle) -> std::io::Result<Self> {
        process::started_s();
        let listener = handle.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let routes = routes(watched);
        let task = handle.spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the endpoint for metrics and health ended");
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn routes(watched: Watched) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .with_state(watched)
}

async fn show(State(watched): State<Watched>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], metrics::text(&watched))
}

/// Whether the process lives and none of its stages has lost its thread: what a restart would mend.
async fn health(State(watched): State<Watched>) -> (StatusCode, String) {
    let stages = watched.stages.iter();
    let dead: String = stages
        .filter(|stats| stats.snapshot().status == Status::Dead)
        .map(|stats| format!("{}: its thread has died\n", stats.stage))
        .collect();
    if dead.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, dead)
    }
}

/// Whether every stage does its work; if not, a line each says why.
async fn readiness(State(watched): State<Watched>) -> (StatusCode, String) {
    let reasons: Vec<_> =
        watched.stages.iter().map(|stats| (stats.stage, stats.snapshot().unready())).collect();
    let ready = reasons.iter().all(|(_, reason)| reason.is_none());
    let line = |(stage, reason): &(_, Option<String>)| {
        let reason = reason.as_deref().unwrap_or("ready").replace('\n', " ");
        format!("{stage}: {reason}\n")
    };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, reasons.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka::{Stage, StageStats};
    use std::sync::Arc;

    fn watched(statuses: &[(Stage, Status)]) -> Watched {
        let stage = |(stage, status): &(Stage, Status)| {
            let stats = StageStats::new(*stage);
            stats.set_status(status.clone());
            Arc::new(stats)
        };
        Watched { stages: statuses.iter().map(stage).collect(), definition: "d".to_owned() }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_dead_thread_is_ill_health_and_a_failing_stage_is_not() {
        let failing = Status::Failing("no answer".to_owned());
        let mut all = vec![(Stage::Ingest, failing), (Stage::Load, Status::Running)];
        assert_eq!(block_on(health(State(watched(&all)))).0, StatusCode::OK);
        all[1].1 = Status::Dead;
        let (code, text) = block_on(health(State(watched(&all))));
        assert_eq!((code, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "load: its thread has died\n"));
    }

    #[test]
    fn every_stage_says_in_a_line_why_it_is_not_ready() {
        let all = [(Stage::Ingest, Status::Failing("no\nanswer".to_owned())), (Stage::Load, Status::Running)];
        let (code, text) = block_on(readiness(State(watched(&all))));
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "ingest: failing: no answer\nload: its lag is not known yet\n");
    }
}
