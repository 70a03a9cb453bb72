//! What the gateway is told.

use crate::limits::{CONNECTIONS, RATE_PER_S};
use crate::secret::Secret;
use crate::verify::Way;
use model::Text;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Everything that concerns the gateway, validated.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// `gateway.listen`.
    pub listen: SocketAddr,
    /// `gateway.rate`: most deliveries a second of one hook.
    pub rate_per_s: u32,
    /// `gateway.max_connections`.
    pub connections: usize,
    /// `gateway.hooks`, by name.
    pub hooks: BTreeMap<String, Hook>,
    /// `gateway.events`: who may send CloudEvents to `/v1/events`.
    pub events: Option<Proof>,
}

impl GatewaySettings {
    /// No hooks on an address.
    pub fn new(listen: SocketAddr) -> Self {
        let (hooks, events) = (BTreeMap::new(), None);
        Self { listen, rate_per_s: RATE_PER_S, connections: CONNECTIONS, hooks, events }
    }
}

/// An address for one vendor's deliveries.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The source that reads them.
    pub source: Text,
    /// Who may send them.
    pub proof: Proof,
}

/// Who may send something.
#[derive(Debug, Clone)]
pub struct Proof {
    /// How it is proved.
    pub way: Way,
    /// The secrets, each as good as the others.
    pub secrets: Vec<Secret>,
    /// Of SNS: the topics that are believed.
    pub topics: Vec<String>,
}
