//! Artifacts and deployments as CDEvents (0.4), in CloudEvents' binary mode: the body is the CDEvent.

use crate::organisation::ORGANISATION;
use model::Timestamp;
use serde_json::{Value, json};

/// An event: its type (subject, predicate and version), its id and the time.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) at: Timestamp,
}

/// The type of a published artifact.
pub(crate) const ARTIFACT: &str = "artifact.published.0.2.0";
/// The type of a service's new version.
pub(crate) const UPGRADED: &str = "service.upgraded.0.2.0";
/// The type of a service's return to an earlier version.
pub(crate) const ROLLED_BACK: &str = "service.rolledback.0.2.0";

/// Who sends them.
pub(crate) const SOURCE: &str = "/acme/delivery";

impl Envelope {
    /// The type in full.
    pub(crate) fn full_kind(&self) -> String {
        format!("dev.cdevents.{}", self.kind)
    }

    fn event(&self, subject: Value) -> Value {
        json!({
            "context": {
                "version": "0.4.1",
                "id": self.id,
                "source": SOURCE,
                "type": self.full_kind(),
                "timestamp": self.at.to_string(),
            },
            "subject": subject,
            "customData": {"cluster": "eu-central-1", "controller": "rollouts", "namespace": ORGANISATION},
            "customDataContentType": "application/json",
        })
    }

    /// An image was published that was built from a commit.
    pub(crate) fn artifact(&self, service: &str, digest: &str, repository: &str, sha: &str) -> Value {
        self.event(json!({
            "id": purl(service, digest),
            "source": SOURCE,
            "type": "artifact",
            "content": {"change": {"id": sha, "source": format!("https://github.com/{repository}")}},
        }))
    }

    /// A service runs another image.
    pub(crate) fn service(&self, service: &str, environment: &str, digest: &str) -> Value {
        self.event(json!({
            "id": service,
            "source": SOURCE,
            "type": "service",
            "content": {
                "environment": {"id": environment, "source": SOURCE},
                "artifactId": purl(service, digest),
            },
        }))
    }
}

fn purl(service: &str, digest: &str) -> String {
    format!("pkg:oci/{service}@sha256%3A{digest}?repository_url=registry.acme.example/{service}")
}
