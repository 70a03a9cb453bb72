//! One request of ClickHouse's HTTP interface, from its URL to its answer.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request as HttpRequest, Response, StatusCode, header};

use crate::body::Source;
use crate::engine::{Engine, Outcome, Statement};
use crate::limits::{MAX_FORM, MAX_QUERY_TEXT};
use crate::request::Request;
use crate::response::{Data, Head};
use crate::sql::{InsertData, Shape};
use crate::{EngineError, Exception, multipart, native, response, sql};

/// What the routes share.
#[derive(Clone)]
pub struct Context {
    engine: Engine,
    numbers: Arc<AtomicU64>,
    /// The server listens on a loopback address.
    loopback: bool,
}

impl Context {
    pub fn new(engine: Engine, loopback: bool) -> Context {
        Context { engine, numbers: Arc::default(), loopback }
    }
}

/// `/ping` and `/replicas_status`.
pub async fn ping() -> Response<Body> {
    response::text(StatusCode::OK, "Ok.\n")
}

/// A path that nothing serves.
pub async fn unknown(request: HttpRequest<Body>) -> Response<Body> {
    let text = format!("There is no handle {}\n\nUse / or /ping for health checks.\n", request.uri().path());
    response::text(StatusCode::NOT_FOUND, text)
}

/// `/`: a statement in the URL, in the body, or in both.
pub async fn query(State(context): State<Context>, http: HttpRequest<Body>) -> Response<Body> {
    if context.loopback
        && let Some(refusal) = foreign(http.headers())
    {
        return refusal;
    }
    let mut request = Request::new(http.uri(), http.headers());
    let number = context.numbers.fetch_add(1, Ordering::Relaxed);
    let answer = match serve(&context.engine, &mut request, http, number).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(error.into_exception()),
    };
    answer.unwrap_or_else(|exception| {
        tracing::debug!(query_id = request.id(number), code = exception.code, "{exception}");
        response::failure(&context.engine, &request.id(number), &exception)
    })
}

/// The interface knows no users, so a page of another site must not reach it through a browser: neither directly,
/// which its `Origin` shows, nor under a name of its own that leads here, which `Host` shows.
fn foreign(headers: &HeaderMap) -> Option<Response<Body>> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).is_none_or(is_local);
    let origin =
        text(header::ORIGIN).is_none_or(|origin| origin.split_once("://").is_some_and(|(_, h)| is_local(h)));
    let refusal = "this address serves the local machine only: use it as localhost or by its IP address\n";
    (!host || !origin).then(|| response::text(StatusCode::FORBIDDEN, refusal))
}

/// `localhost` or an IP address, with or without a port.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
    })
}

async fn serve(
    engine: &Engine,
    request: &mut Request,
    http: HttpRequest<Body>,
    number: u64,
) -> Result<Response<Body>, EngineError> {
    let (parts, body) = http.into_parts();
    let is_post = parts.method == Method::POST;
    if !is_post {
        // As on a server: what GET asks for changes nothing.
        request.options.readonly = request.options.readonly.or(Some(2));
    }
    let mut source = Source::new(if is_post { body } else { Body::empty() }, request.decompress);
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if let Some(boundary) = content_type.and_then(multipart::boundary) {
        let mut form = Vec::new();
        if !source.fill(&mut form, MAX_FORM).await? {
            return Err(too_large(MAX_FORM).into());
        }
        for (name, value) in multipart::fields(&form, &boundary)? {
            request.set(&name, value);
        }
    }
    let mut text = std::mem::take(&mut request.query).into_bytes();
    if !text.is_empty() {
        text.push(b'\n');
    }
    // An insert whose statement is whole in the URL has a body of data only, which may be encoded.
    let in_url = matches!(sql::shape(&text), Ok(Shape::InsertData(_)));
    if !in_url && let Some(encoding) = &request.body_encoding {
        let message =
            format!("Content-Encoding {encoding} is for the data of an insert whose statement is in the URL");
        return Err(Exception::new(48, "NOT_IMPLEMENTED", message).into());
    }
    let ended = if in_url { false } else { source.fill(&mut text, MAX_QUERY_TEXT).await? };
    let id = request.id(number);
    let shape = match sql::shape(&text) {
        // What is behind the limit is not known yet; only an insert's data may be there.
        Ok(shape @ Shape::InsertData(_)) => shape,
        _ if !in_url && !ended => return Err(too_large(MAX_QUERY_TEXT).into()),
        shape => shape?,
    };
    let (statement, format, result) = match shape {
        Shape::Empty if is_post => {
            return Err(Exception::new(62, "SYNTAX_ERROR", "Syntax error: Empty query").into());
        }
        Shape::Empty => return Ok(response::text(StatusCode::OK, "Ok.\n")),
        Shape::InsertData(insert) => {
            let outcome = store(engine, request, text, &insert, source, ended).await?;
            return finish(engine, request, &id, &insert.format, None, outcome).await;
        }
        Shape::Select { outfile_at, format } => {
            let format = format.unwrap_or_else(|| request.format().to_owned());
            let file = engine.spool().file();
            let (before, after) = text.split_at_checked(outfile_at).unwrap_or((&text, b""));
            let compression =
                request.encoding(&format).map(|e| format!(" COMPRESSION '{e}'")).unwrap_or_default();
            let clause = format!("\nINTO OUTFILE {}{compression} ", file.literal());
            let sql = [before, clause.as_bytes(), after].concat();
            (new_statement(request, sql, &format, false), format, Some(file))
        }
        Shape::Other { format, session } => {
            let format = format.unwrap_or_else(|| request.format().to_owned());
            (new_statement(request, text, &format, session), format, None)
        }
    };
    let outcome = engine.run(statement).await?;
    finish(engine, request, &id, &format, result, outcome).await
}

fn new_statement(request: &Request, sql: Vec<u8>, format: &str, session: bool) -> Statement {
    Statement { sql, format: format.to_owned(), options: request.options.clone(), session }
}

/// Runs an insert once its data is there from end to end.
async fn store(
    engine: &Engine,
    request: &Request,
    text: Vec<u8>,
    insert: &InsertData,
    source: Source,
    ended: bool,
) -> Result<Outcome, EngineError> {
    // Values that were read whole stay in the statement, so that messages show them where they are.
    if insert.values && ended && !text.contains(&0) {
        if let Some(trailing) = several(&text, insert.data_at) {
            return Err(trailing.into());
        }
        return engine.run(new_statement(request, text, request.format(), false)).await;
    }
    let file = engine.spool().file();
    source.store(text.get(insert.data_at..).unwrap_or_default(), &file).await?;
    let compression = match &request.body_encoding {
        None => String::new(),
        Some(name) if matches!(name.as_str(), "gzip" | "deflate" | "br" | "zstd" | "lz4" | "xz" | "bz2") => {
            format!(" COMPRESSION '{name}'")
        }
        Some(name) => {
            let message = format!("Unknown Content-Encoding {name}");
            return Err(Exception::new(89, "UNKNOWN_COMPRESSION_METHOD", message).into());
        }
    };
    let head = text.get(..insert.infile_at).unwrap_or_default();
    let settings = text.get(insert.infile_at..insert.head_end).unwrap_or_default();
    let clause = format!("FROM INFILE {}{compression} ", file.literal());
    let format = format!(" FORMAT {}", insert.format);
    let sql = [head, clause.as_bytes(), settings, format.as_bytes()].concat();
    let answer = engine.run(new_statement(request, sql, request.format(), false)).await;
    // The client knows nothing of the file, so it doesn't read of it either.
    answer.map_err(|error| match error {
        EngineError::Query(mut exception) => {
            let path = file.path().display();
            exception.text = exception.text.replace(&format!("\n: (in file/uri {path})"), "");
            exception.text = exception.text.replace(": data for INSERT was parsed from file", "");
            exception.into()
        }
        other => other,
    })
}

/// `VALUES (…); SELECT 1` is two statements, which the engine would run both.
fn several(text: &[u8], data_at: usize) -> Option<Exception> {
    let probe = [b"SELECT ", text.get(data_at..).unwrap_or_default()].concat();
    sql::shape(&probe).err()
}

fn too_large(limit: usize) -> Exception {
    let message = format!("Max query size exceeded: the statement is longer than {limit} bytes");
    Exception::new(62, "SYNTAX_ERROR", message)
}

async fn finish(
    engine: &Engine,
    request: &Request,
    query_id: &str,
    format: &str,
    result: Option<crate::spool::SpoolFile>,
    outcome: Outcome,
) -> Result<Response<Body>, EngineError> {
    let encoding = request.encoding(format).filter(|_| result.is_some());
    let mut data = result.map_or_else(|| Data::Memory(outcome.data), Data::File);
    if request.converts(format) {
        data = convert(engine, data, request.revision).await?;
    }
    let head = Head { engine, query_id, format, encoding, compress: request.compress };
    response::success(&head, data, &outcome.statistics).await
}

/// The answer in the Native format of the client's revision.
async fn convert(engine: &Engine, data: Data, revision: u64) -> Result<Data, EngineError> {
    let converted = engine.spool().file();
    let work = move || match data {
        Data::Memory(data) => {
            let mut target = Vec::new();
            native::convert(&mut data.as_slice(), &mut target, revision)?;
            Ok(Data::Memory(target))
        }
        Data::File(file) if !file.path().exists() => Ok(Data::File(file)),
        Data::File(file) => {
            let mut source = io::BufReader::new(File::open(file.path())?);
            let mut target = io::BufWriter::new(File::create_new(converted.path())?);
            native::convert(&mut source, &mut target, revision)?;
            target.flush()?;
            Ok(Data::File(converted))
        }
    };
    let done: io::Result<Data> =
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(io::Error::other(e)));
    done.map_err(|e| match e.kind() {
        io::ErrorKind::Unsupported => Exception::new(48, "NOT_IMPLEMENTED", e).into(),
        _ => EngineError::io("cannot convert a result in", engine.data_dir(), e),
    })
}
