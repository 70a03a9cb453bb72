//! Answers with the headers and the body of a ClickHouse server.

use std::io;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::io::AsyncReadExt;

use crate::engine::{Engine, Statistics};
use crate::limits::RESULT_CHUNK;
use crate::spool::SpoolFile;
use crate::{EngineError, Exception, framing, status};

/// Where the bytes of a result are.
pub enum Data {
    Memory(Vec<u8>),
    File(SpoolFile),
}

/// What is said about an answer besides its bytes.
pub struct Head<'a> {
    pub engine: &'a Engine,
    pub query_id: &'a str,
    pub format: &'a str,
    pub encoding: Option<&'static str>,
    pub compress: bool,
}

/// A plain text, such as that of `/ping`.
pub fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    put(&mut response, header::CONTENT_TYPE, "text/plain; charset=UTF-8");
    response
}

/// The answer to a statement that worked.
///
/// # Errors
/// The file of the result can't be read.
pub async fn success(
    head: &Head<'_>,
    data: Data,
    statistics: &Statistics,
) -> Result<Response<Body>, EngineError> {
    let mut encoding = head.encoding;
    let body = match data {
        Data::Memory(data) if head.compress => Body::from(blocks(&data)),
        Data::Memory(data) => Body::from(data),
        Data::File(file) => match stored(file, head.compress, encoding).await? {
            Some(body) => body,
            None => {
                encoding = None;
                Body::empty()
            }
        },
    };
    let mut response = Response::new(body);
    put(&mut response, header::CONTENT_TYPE, content_type(head.format));
    put(&mut response, HeaderName::from_static("x-clickhouse-format"), head.format);
    put(&mut response, HeaderName::from_static("x-clickhouse-summary"), &summary(statistics));
    if let Some(encoding) = encoding {
        put(&mut response, header::CONTENT_ENCODING, encoding);
    }
    common(&mut response, head.engine, head.query_id);
    Ok(response)
}

/// The answer to a statement that failed: ClickHouse's status, code and text.
pub fn failure(engine: &Engine, query_id: &str, exception: &Exception) -> Response<Body> {
    let body = format!("{} (version {})\n", exception.text, engine.version());
    let mut response = text(status::of(exception.code), body);
    put(&mut response, HeaderName::from_static("x-clickhouse-exception-code"), &exception.code.to_string());
    common(&mut response, engine, query_id);
    response
}

fn common(response: &mut Response<Body>, engine: &Engine, query_id: &str) {
    put(response, HeaderName::from_static("x-clickhouse-server-display-name"), "streamgauge");
    put(response, HeaderName::from_static("x-clickhouse-query-id"), query_id);
    put(response, HeaderName::from_static("x-clickhouse-timezone"), engine.timezone());
}

fn put(response: &mut Response<Body>, name: HeaderName, value: &str) {
    // A format's name comes from the statement and may be no header value; then the header is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn summary(s: &Statistics) -> String {
    format!(
        "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
         \"total_rows_to_read\":\"{}\",\"result_rows\":\"{}\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
        s.read_rows,
        s.read_bytes,
        s.written_rows,
        s.written_bytes,
        s.read_rows,
        s.result_rows,
        s.result_bytes,
        s.elapsed_ns
    )
}

/// The type that a server names for a format.
fn content_type(format: &str) -> &'static str {
    match format {
        "JSON"
        | "JSONCompact"
        | "JSONStrings"
        | "JSONCompactStrings"
        | "JSONColumns"
        | "JSONCompactColumns"
        | "JSONColumnsWithMetadata"
        | "JSONObjectEachRow" => "application/json; charset=UTF-8",
        name if name.starts_with("JSON") => "application/x-ndjson; charset=UTF-8",
        name if name.starts_with("CSV") => "text/csv; charset=UTF-8",
        name if name.starts_with("TabSeparated") || name.starts_with("TSV") => {
            "text/tab-separated-values; charset=UTF-8"
        }
        "XML" => "application/xml; charset=UTF-8",
        name if name.starts_with("RowBinary") => "application/octet-stream",
        "Native" | "Parquet" | "Arrow" | "ArrowStream" | "ORC" | "Avro" | "MsgPack" | "BSONEachRow" => {
            "application/octet-stream"
        }
        _ => "text/plain; charset=UTF-8",
    }
}

fn blocks(data: &[u8]) -> Vec<u8> {
    data.chunks(RESULT_CHUNK).flat_map(framing::encode).collect()
}

/// The engine ends a stream of LZ4 that it never began where no row came: no reader takes that.
const END_OF_LZ4: [u8; 4] = [0; 4];

/// A small result is sent with its length; a large one is read as the client takes it. `None`: it has no bytes.
async fn stored(
    file: SpoolFile,
    compress: bool,
    encoding: Option<&str>,
) -> Result<Option<Body>, EngineError> {
    let mut reader = match tokio::fs::File::open(file.path()).await {
        Ok(reader) => reader,
        // A result without rows may be one without a file.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(EngineError::io("cannot open", file.path(), e)),
    };
    let first = chunk(&mut reader).await.map_err(|e| EngineError::io("cannot read", file.path(), e))?;
    let wrap = move |data: Vec<u8>| if compress { framing::encode(&data) } else { data };
    if first.is_empty() || (encoding == Some("lz4") && first == END_OF_LZ4) {
        return Ok(None);
    }
    if first.len() < RESULT_CHUNK {
        return Ok(Some(Body::from(wrap(first))));
    }
    let rest = stream::unfold(Some((reader, file)), move |state| async move {
        let (mut reader, file) = state?;
        match chunk(&mut reader).await {
            Ok(data) if data.is_empty() => None,
            Ok(data) => Some((Ok(Bytes::from(wrap(data))), Some((reader, file)))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let first = stream::once(std::future::ready(Ok::<_, io::Error>(Bytes::from(wrap(first)))));
    Ok(Some(Body::from_stream(first.chain(rest))))
}

async fn chunk(reader: &mut tokio::fs::File) -> io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(RESULT_CHUNK);
    reader.take(RESULT_CHUNK as u64).read_to_end(&mut data).await?;
    Ok(data)
}
