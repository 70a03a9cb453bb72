//! A schema registry, asked over its HTTP interface.
//! Source: <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>.

use crate::connection::Refusal;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use https::{Https, Tls};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::base64;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Attempts of one question.
const ATTEMPTS: u32 = 3;
/// The first pause between them; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_BYTES: usize = 4 << 20;
/// What is said and heard.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// The registry's codes for a subject, a version and a schema that are not there.
const NOT_THERE: [i64; 3] = [40401, 40402, 40403];

/// Where the registry is, and how it is talked to.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// `kafka.registry.url`, as in `https://registry:8081`.
    pub url: String,
    /// The user and the password, where it wants them.
    pub user: Option<(String, String)>,
    /// Of an `https://` address.
    pub tls: Tls,
}

impl fmt::Debug for RegistrySettings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A registry. One question at a time; what it answers never changes, so it is asked rarely.
pub struct Registry {
    url: String,
    authorization: Option<String>,
    client: Client<https::Connector, Full<Bytes>>,
    runtime: Runtime,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("url", &self.url).finish_non_exhaustive()
    }
}

/// An answer.
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn code(&self) -> i64 {
        self.body.get("error_code").and_then(Value::as_i64).unwrap_or(0)
    }
    fn says(&self) -> String {
        let message = self.body.get("message").and_then(Value::as_str).unwrap_or("no reason given");
        format!("{} {message}", self.status)
    }
}

impl Registry {
    /// Makes it ready; nothing is asked yet.
    ///
    /// # Errors
    /// A file of `kafka.registry.ssl` that cannot be used.
    pub fn new(settings: &RegistrySettings) -> Result<Self, Refusal> {
        let refusal = |error: &dyn fmt::Display| {
            Refusal::new(format!("kafka.registry: {error}"), "mend it and start again")
        };
        let https = Https::new(&settings.tls).map_err(|error| refusal(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| refusal(&error))?;
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https.connector());
        let authorization = settings.user.as_ref().map(|(user, password)| {
            format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes()))
        });
        Ok(Self { url: settings.url.trim_end_matches('/').to_owned(), authorization, client, runtime })
    }

    /// The number of a schema under a subject; it is registered when it is new.
    ///
    /// # Errors
    /// The registry is away, or refuses it.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32, Refusal> {
        let answer =
            self.ask(&format!("/subjects/{subject}/versions"), Some(&json!({ "schema": schema })))?;
        match (answer.status, answer.body.get("id").and_then(Value::as_u64).map(u32::try_from)) {
            (200, Some(Ok(id))) => Ok(id),
            _ => Err(self.refuses(subject, &answer)),
        }
    }

    /// Whether a schema could be registered under a subject.
    ///
    /// # Errors
    /// The registry is away, or would refuse it.
    pub fn would_take(&self, subject: &str, schema: &str) -> Result<(), Refusal> {
        let path = format!("/compatibility/subjects/{subject}/versions/latest");
        let answer = self.ask(&path, Some(&json!({ "schema": schema })))?;
        match (answer.status, answer.body.get("is_compatible").and_then(Value::as_bool)) {
            (200, Some(true)) => Ok(()),
            // The first of its subject.
            (404, _) if NOT_THERE.contains(&answer.code()) => Ok(()),
            (200, Some(false)) => {
                let body =
                    json!({ "error_code": 409, "message": "the schema is incompatible with an earlier one" });
                Err(self.refuses(subject, &Answer { status: 409, body }))
            }
            _ => Err(self.refuses(subject, &answer)),
        }
    }

    /// A schema as JSON; `None`: there is none of that number.
    ///
    /// # Errors
    /// The registry is away, or refuses.
    pub fn schema(&self, id: u32) -> Result<Option<String>, Refusal> {
        let answer = self.ask(&format!("/schemas/ids/{id}"), None)?;
        match (answer.status, answer.body.get("schema").and_then(Value::as_str)) {
            (200, Some(schema)) => Ok(Some(schema.to_owned())),
            (404, _) if NOT_THERE.contains(&answer.code()) => Ok(None),
            _ => Err(self.refuses(&format!("schema {id}"), &answer)),
        }
    }

    fn refuses(&self, what: &str, answer: &Answer) -> Refusal {
        let remedy = match answer.status {
            401 | 403 => "correct kafka.registry.user and its password, or let the user read and register",
            409 => "let the subject's compatibility allow it, or give the run another prefix",
            404 => "is kafka.registry.url the registry's?",
            _ => "the registry's log says more",
        };
        Refusal::new(format!("{} refuses {what}: {}", self.url, answer.says()), remedy)
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Result<Answer, Refusal> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let asked = self.runtime.block_on(async {
                tokio::time::timeout(ANSWER_WITHIN, self.ask_once(path, body))
                    .await
                    .unwrap_or_else(|_| Err(format!("no answer in {} s", ANSWER_WITHIN.as_secs())))
            });
            let reason = match asked {
                Ok(answer) if answer.status < 500 && answer.status != 429 => return Ok(answer),
                Ok(answer) => answer.says(),
                Err(reason) => reason,
            };
            if attempt >= ATTEMPTS {
                let remedy = https::remedy(&reason, "kafka.registry.ssl")
                    .unwrap_or_else(|| "start the registry there, or correct kafka.registry.url".to_owned());
                return Err(Refusal::new(format!("schema registry {}: {reason}", self.url), remedy));
            }
            tracing::warn!(url = self.url, attempt, reason, "the schema registry is asked again");
            std::thread::sleep(pause);
            pause *= 2;
            attempt += 1;
        }
    }

    async fn ask_once(&self, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        request = request.header("accept", CONTENT_TYPE).header("content-type", CONTENT_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let body = Bytes::from(body.map(ToString::to_string).unwrap_or_default());
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| https::innermost(&error))?;
        let status = answer.status().as_u16();
        let read = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        let bytes = read.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }
}
