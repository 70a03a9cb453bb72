//! Asking an API: one question at a time, as fast as it allows, again where it fails, and never anybody else with its token.

use crate::durable::pause;
use crate::failure::wrong;
use anyhow::{Context, bail};
use axum::body::Bytes;
use axum::http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use https::{Https, Tls};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Longest answer, in bytes.
const ANSWER_BYTES: usize = 32 << 20;
/// How often one question is asked while it is not answered, and the first and the longest wait between.
const ATTEMPTS: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often one question may be put off by a limit, and for how long at most at once.
const PUT_OFFS: u32 = 30;
const LONGEST_PUT_OFF: Duration = Duration::from_secs(2 * 3_600);
/// Redirections of one question that are followed, within the same server.
const REDIRECTIONS: u32 = 3;

/// What became of a question.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// Answered, with the address of the next page.
    Answer(Value, Option<String>),
    /// There is no such thing.
    Gone(u16),
    /// It may not be asked: the status, and what was said.
    Refused(u16, String),
}

/// What one attempt at a question came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is answered.
    Answered,
    /// There is no such thing: the status.
    Gone(u16),
    /// It may not be asked: the status, and what was said.
    Refused(u16, String),
    /// A limit is reached, for so long.
    Limited(Duration),
    /// It is elsewhere.
    Moved(String),
    /// There is no answer, or none that is one: why.
    Failed(String),
}

/// What is done about an answer's head.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Take,
    /// Ask again after this time: a limit is reached.
    PutOff(Duration),
    /// Ask again after the usual time.
    Again,
    Follow(String),
    Gone,
    Refused,
}

/// A way to one API.
pub struct Client {
    http: HttpClient<https::Connector, Full<Bytes>>,
    server: String,
    headers: Vec<(&'static str, String)>,
    threads: Handle,
    stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The headers hold the token.
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes it ready; nothing is asked yet.
    ///
    /// # Errors
    /// Exit code 2: an address that is none; a file of certificates that cannot be used.
    pub fn new(
        base: &str,
        headers: Vec<(&'static str, String)>,
        tls: &Tls,
        threads: Handle,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let https = Https::new(tls)?;
        let http = HttpClient::builder(TokioExecutor::new()).build(https.connector());
        let server = server(base)
            .ok_or_else(|| wrong(format!("{base:?} is no address, as in https://api.github.com")))?;
        Ok(Self { http, server, headers, threads, stop })
    }

    /// Asks until there is a reply; `told` hears why that takes long.
    ///
    /// # Errors
    /// There is none after many attempts, or the process is to stop.
    pub fn ask(&self, url: &str, told: &mut dyn FnMut(&str)) -> anyhow::Result<Reply> {
        let mut url = url.to_owned();
        let (mut failures, mut put_offs, mut redirections) = (0, 0, 0);
        let mut wait = FIRST_WAIT;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                bail!("stopped");
            }
            if server(&url).as_deref() != Some(self.server.as_str()) {
                bail!("{} points to {url}: the token is for the former alone", self.server);
            }
            let asked = self.threads.block_on(async {
                tokio::time::timeout(ANSWER_WITHIN, self.once(&url))
                    .await
                    .unwrap_or_else(|_| Err(format!("no answer in {} s", ANSWER_WITHIN.as_secs())))
            });
            let why = match asked {
                Err(error) => error,
                Ok((status, headers, body)) => {
                    match verdict(status, &headers, crate::import::now().seconds()) {
                        Verdict::Take => match serde_json::from_slice(&body) {
                            Ok(value) => return Ok(Reply::Answer(value, next_page(&headers))),
                            // A proxy's page, or an answer that was cut.
                            Err(error) => format!("it answers {status} and no JSON: {error}"),
                        },
                        Verdict::Gone => return Ok(Reply::Gone(status)),
                        Verdict::Refused => return Ok(Reply::Refused(status, said(&body))),
                        Verdict::Follow(to) if redirections < REDIRECTIONS => {
                            redirections += 1;
                            url = absolute(&self.server, &to);
                            continue;
                        }
                        Verdict::Follow(to) => bail!("{url}: it points on and on, last to {to}"),
                        Verdict::PutOff(long) => {
                            put_offs += 1;
                            if put_offs > PUT_OFFS || long > LONGEST_PUT_OFF {
                                bail!("{url}: its limit lets nobody ask for another {} s", long.as_secs());
                            }
                            told(&format!("waiting {} s for its limit", long.as_secs()));
                            pause(long, &self.stop);
                            continue;
                        }
                        Verdict::Again => format!("it answers {status}: {}", said(&body)),
                    }
                }
            };
            failures += 1;
            if failures >= ATTEMPTS {
                let remedy = https::remedy(&why, "backfill.*.ssl").map(|remedy| format!(" ({remedy})"));
                bail!("{url}: {why}{}", remedy.unwrap_or_default());
            }
            told(&format!("asking again: {why}"));
            pause(wait, &self.stop);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Asks once, and waits for nothing but the answer.
    pub fn attempt(&self, url: &str, within: Duration) -> Attempt {
        let asked = self.threads.block_on(async { tokio::time::timeout(within, self.once(url)).await });
        let (status, headers, body) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Attempt::Failed(error),
            Err(_) => return Attempt::Failed(format!("no answer in {} s", within.as_secs())),
        };
        match verdict(status, &headers, crate::import::now().seconds()) {
            Verdict::Take => match serde_json::from_slice::<Value>(&body) {
                Ok(_) => Attempt::Answered,
                Err(error) => Attempt::Failed(format!("it answers {status} and no JSON: {error}")),
            },
            Verdict::PutOff(long) => Attempt::Limited(long),
            Verdict::Again => Attempt::Failed(format!("it answers {status}: {}", said(&body))),
            Verdict::Follow(to) => Attempt::Moved(to),
            Verdict::Gone => Attempt::Gone(status),
            Verdict::Refused => Attempt::Refused(status, said(&body)),
        }
    }

    async fn once(&self, url: &str) -> Result<(u16, HeaderMap, Bytes), String> {
        let mut request = Request::get(url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        // GitHub refuses whoever does not say who asks.
        request = request.header("user-agent", concat!("streamgauge/", env!("CARGO_PKG_VERSION")));
        let request = request.body(Full::new(Bytes::new())).map_err(|error| error.to_string())?;
        let answer = self.http.request(request).await.map_err(|error| https::innermost(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(|error| error.to_string())?;
        Ok((head.status.as_u16(), head.headers, body.to_bytes()))
    }
}

/// What is done about an answer, by its status and what it says of limits. `now` in Unix seconds.
fn verdict(status: u16, headers: &HeaderMap, now: i64) -> Verdict {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
    // GitHub's name for what is left and until when; GitLab's and PagerDuty's. A small number is a length of time.
    let left = number("x-ratelimit-remaining").or_else(|| number("ratelimit-remaining"));
    let reset = number("x-ratelimit-reset").or_else(|| number("ratelimit-reset"));
    let until_reset = reset.map(|reset| if reset > 1_000_000_000 { reset - now } else { reset });
    let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds.max(1)).unwrap_or(1));
    match status {
        200..=299 => Verdict::Take,
        301 | 302 | 307 | 308 => match text("location") {
            Some(to) => Verdict::Follow(to.to_owned()),
            None => Verdict::Refused,
        },
        404 | 409 | 410 => Verdict::Gone,
        403 | 429 => match (number("retry-after"), until_reset) {
            (Some(wait), _) => Verdict::PutOff(seconds(wait)),
            // A second more: clocks differ.
            (None, Some(wait)) if status == 429 || left == Some(0) => Verdict::PutOff(seconds(wait + 1)),
            (None, _) if status == 429 => Verdict::PutOff(LONGEST_WAIT),
            _ => Verdict::Refused,
        },
        408 | 500..=599 => match number("retry-after") {
            Some(wait) => Verdict::PutOff(seconds(wait)),
            None => Verdict::Again,
        },
        _ => Verdict::Refused,
    }
}

/// The address with `rel="next"` in the header `Link`.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    let mut links = links.flat_map(|value| value.split(','));
    links.find_map(|link| {
        let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.split(';').any(|part| part.trim() == "rel=\"next\"").then(|| address.to_owned())
    })
}

/// What a refusal says, shortened.
fn said(body: &[u8]) -> String {
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let found = value.as_ref().and_then(|value| {
        let paths = ["/message", "/error", "/error/message", "/errorMessages/0", "/error_description"];
        paths.iter().find_map(|path| value.pointer(path)?.as_str())
    });
    found.map_or_else(|| "no reason given".to_owned(), |text| text.chars().take(200).collect())
}

/// `scheme://host:port` of an address over HTTP(S).
fn server(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
    Some(format!("{scheme}://{}", uri.authority()?))
}

fn absolute(server: &str, to: &str) -> String {
    if to.starts_with('/') { format!("{server}{to}") } else { to.to_owned() }
}

/// The address of an API: with its root, where a self-hosted service is named by its host alone.
///
/// # Errors
/// Exit code 2: no address over HTTP(S).
pub fn base(url: &str, root: &str) -> anyhow::Result<String> {
    let url = url.trim_end_matches('/');
    let uri: Uri = url.parse().map_err(|_| wrong(format!("--url {url:?} is no address")))?;
    let scheme = uri
        .scheme_str()
        .context("no scheme")
        .map_err(|_| wrong(format!("--url {url:?} is no address, as in https://git.example.com")))?;
    if !["http", "https"].contains(&scheme) || uri.authority().is_some_and(|host| host.as_str().contains('@'))
    {
        return Err(wrong(format!(
            "--url {url:?}: an address over HTTP(S), without an account, is expected"
        )));
    }
    Ok(if uri.path().trim_matches('/').is_empty() { format!("{url}{root}") } else { url.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_limit_is_waited_for_as_long_as_the_vendor_says() {
        let now = 1_700_000_000;
        let off = |seconds| Verdict::PutOff(Duration::from_secs(seconds));
        let check = |status, pairs: &[_], expect| {
            assert_eq!(verdict(status, &headers(pairs), now), expect, "{pairs:?}")
        };
        check(429, &[("retry-after", "7")], off(7));
        // GitHub: the primary limit, by a time; its secondary one says how long.
        check(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000060")], off(61));
        check(403, &[("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "1700000060")], Verdict::Refused);
        check(403, &[("retry-after", "60")], off(60));
        // GitLab by a time, PagerDuty by a length of time.
        check(429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "1700000030")], off(31));
        check(429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "30")], off(31));
        check(429, &[("x-ratelimit-reset", "1600000000")], off(1));
        check(429, &[], off(60));
        check(503, &[("retry-after", "2")], off(2));
        check(502, &[], Verdict::Again);
        check(404, &[], Verdict::Gone);
        check(401, &[], Verdict::Refused);
        check(301, &[("location", "/repositories/7")], Verdict::Follow("/repositories/7".to_owned()));
    }

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        let link = "<https://a.example/x?page=1>; rel=\"prev\", <https://a.example/x?page=3>; rel=\"next\"";
        assert_eq!(next_page(&headers(&[("link", link)])).as_deref(), Some("https://a.example/x?page=3"));
        assert_eq!(next_page(&headers(&[("link", "<https://a.example/x?page=1>; rel=\"first\"")])), None);
    }

    #[test]
    fn an_address_without_a_path_gets_the_api_s() {
        assert_eq!(base("https://git.example/", "/api/v4").unwrap(), "https://git.example/api/v4");
        assert_eq!(
            base("https://git.example/gitlab/api/v4", "/api/v4").unwrap(),
            "https://git.example/gitlab/api/v4"
        );
        assert!(base("git.example", "/api/v4").is_err());
        assert!(base("https://me:secret@git.example", "").is_err());
    }

    #[test]
    fn a_page_elsewhere_is_not_asked_for() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let headers = vec![("authorization", "Bearer t".to_owned())];
        let client = Client::new(
            "http://127.0.0.1:1",
            headers,
            &Tls::default(),
            runtime.handle().clone(),
            Arc::default(),
        );
        let client = client.unwrap();
        let error = client.ask("http://127.0.0.1:2/next", &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("the token is for the former alone"), "{error}");
        assert!(!format!("{client:?}").contains("Bearer"));
    }
}
