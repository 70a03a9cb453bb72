//! What a request asks for: its URL parameters and headers.

use axum::http::{HeaderMap, Uri, header};

use crate::QueryOptions;
use crate::limits::MAX_QUERY_ID;

/// Parameters of the transport, which are no settings of the engine. Users and passwords are accepted and not
/// looked at, sessions are not kept, a result is always complete before it is sent, an insert is always
/// acknowledged when it is there, and a wait for a drop would never end (see `sql::without_sync`).
const TRANSPORT: &[&str] = &[
    "async_insert",
    "buffer_size",
    "cancel_http_readonly_queries_on_client_close",
    "close_session",
    "database_atomic_wait_for_drop_and_detach_synchronously",
    "http_write_exception_in_output_format",
    "max_result_bytes_in_buffer",
    "password",
    "quota_key",
    "role",
    "send_progress_in_http_headers",
    "session_check",
    "session_id",
    "session_timeout",
    "stacktrace",
    "user",
    "wait_end_of_query",
    "wait_for_async_insert",
];

/// Encodings that the engine writes, in the order in which they are taken.
const ENCODINGS: &[&str] = &["lz4", "zstd", "gzip", "br"];

/// A statement as it came, and how its answer is wanted.
#[derive(Debug, Default)]
pub struct Request {
    /// The text in the URL, without the body.
    pub query: String,
    /// How the engine runs it.
    pub options: QueryOptions,
    /// The format when the statement names none.
    pub default_format: Option<String>,
    /// The client's name for the statement.
    pub query_id: Option<String>,
    /// `compress=1`: the answer in blocks of ClickHouse's native compression.
    pub compress: bool,
    /// `decompress=1`: the body is in such blocks.
    pub decompress: bool,
    /// `enable_http_compression=0` was set.
    pub no_encoding: bool,
    /// Revision of the Native format that the client reads; 0 without one.
    pub revision: u64,
    /// `Content-Encoding` of the body.
    pub body_encoding: Option<String>,
    /// `Accept-Encoding`, as far as the engine can.
    pub answer_encoding: Option<&'static str>,
}

impl Request {
    /// Reads the URL and the headers.
    pub fn new(uri: &Uri, headers: &HeaderMap) -> Request {
        let mut request = Request::default();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        request.options.database = text("x-clickhouse-database");
        request.default_format = text("x-clickhouse-format");
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            request.set(&name, value.into_owned());
        }
        request.body_encoding = text(header::CONTENT_ENCODING.as_str()).filter(|name| name != "identity");
        let accepted = text(header::ACCEPT_ENCODING.as_str()).unwrap_or_default();
        request.answer_encoding = ENCODINGS.iter().copied().find(|name| accepts(&accepted, name));
        request
    }

    /// Takes one parameter, of the URL or of a form. Later ones win.
    pub fn set(&mut self, name: &str, value: String) {
        match name {
            "query" => self.query = value,
            "database" => self.options.database = Some(value).filter(|name| !name.is_empty()),
            "default_format" => self.default_format = Some(value).filter(|name| !name.is_empty()),
            "query_id" => self.query_id = Some(value),
            "compress" => self.compress = flag(&value),
            "decompress" => self.decompress = flag(&value),
            "readonly" => self.options.readonly = value.parse().ok().filter(|level| *level != 0),
            "client_protocol_version" => self.revision = value.parse().unwrap_or_default(),
            "enable_http_compression" => self.no_encoding = !flag(&value),
            name if TRANSPORT.contains(&name) => {}
            name => {
                let (target, name) = match name.strip_prefix("param_") {
                    Some(parameter) => (&mut self.options.parameters, parameter),
                    None => (&mut self.options.settings, name),
                };
                target.insert(name.to_owned(), value);
            }
        }
    }

    /// The encoding of an answer in `format`; native compression excludes it, and so does a conversion.
    pub fn encoding(&self, format: &str) -> Option<&'static str> {
        self.answer_encoding.filter(|_| !self.compress && !self.no_encoding && !self.converts(format))
    }

    /// Whether the engine's answer is not yet what the client reads.
    pub fn converts(&self, format: &str) -> bool {
        self.revision > 0 && format.eq_ignore_ascii_case("Native")
    }

    /// The format when the statement names none.
    pub fn format(&self) -> &str {
        self.default_format.as_deref().unwrap_or("TabSeparated")
    }

    /// The client's query id as far as it can be a header, else one from `number`.
    pub fn id(&self, number: u64) -> String {
        let usable = |id: &&String| {
            !id.is_empty()
                && id.len() <= MAX_QUERY_ID
                && id.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        };
        self.query_id.as_ref().filter(usable).cloned().unwrap_or_else(|| format!("streamgauge-{number}"))
    }
}

fn flag(value: &str) -> bool {
    matches!(value, "1" | "true")
}

fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_settings_and_transport_are_told_apart() {
        let uri: Uri = "/?query=SELECT+1&database=d&param_x=5&max_threads=2&user=u&session_id=s&readonly=0&role=a&role=b"
            .parse()
            .unwrap();
        let request = Request::new(&uri, &HeaderMap::new());
        assert_eq!(request.query, "SELECT 1");
        assert_eq!(request.options.database.as_deref(), Some("d"));
        assert_eq!(request.options.parameters, [("x".to_owned(), "5".to_owned())].into());
        assert_eq!(request.options.settings, [("max_threads".to_owned(), "2".to_owned())].into());
        assert_eq!(request.options.readonly, None);
    }

    #[test]
    fn an_encoding_is_taken_only_when_it_is_accepted() {
        assert!(accepts("deflate, gzip;q=0.5, br", "gzip"));
        assert!(!accepts("gzip;q=0", "gzip"));
        assert!(!accepts("", "lz4"));
    }
}
