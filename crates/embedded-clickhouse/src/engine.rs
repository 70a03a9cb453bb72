//! The engine: one thread that owns every connection, behind a bounded queue.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::ffi::{self, Chdb, Connection};
use crate::limits::{EXIT_GRACE, QUEUE_LENGTH};
use crate::spool::Spool;
use crate::{EngineError, Exception, locate, sql, stdin};

/// What a statement runs with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// The database that names without one belong to; `default` when it is not given.
    pub database: Option<String>,
    /// Settings of the engine, by name.
    pub settings: BTreeMap<String, String>,
    /// Values for `{name:Type}`, escaped as in the TSV format.
    pub parameters: BTreeMap<String, String>,
    /// ClickHouse's `readonly`: 1 forbids writing, 2 forbids writing but not settings.
    pub readonly: Option<u8>,
}

/// What a statement read and wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rows read from tables.
    pub read_rows: u64,
    /// Bytes read from tables.
    pub read_bytes: u64,
    /// Rows written, those of materialized views included.
    pub written_rows: u64,
    /// Bytes written, those of materialized views included.
    pub written_bytes: u64,
    /// Rows of the result.
    pub result_rows: u64,
    /// Bytes of the result, before formatting.
    pub result_bytes: u64,
    /// Time that the engine took, in nanoseconds.
    pub elapsed_ns: u64,
}

/// The answer to a statement.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The result in the format that was asked for.
    pub data: Vec<u8>,
    /// What it cost.
    pub statistics: Statistics,
}

/// A statement for the engine.
#[derive(Debug)]
pub(crate) struct Statement {
    pub sql: Vec<u8>,
    pub format: String,
    pub options: QueryOptions,
    /// The statement changes its session, which must not be used again.
    pub session: bool,
}

enum Reply {
    Blocking(SyncSender<Result<Outcome, EngineError>>),
    Async(oneshot::Sender<Result<Outcome, EngineError>>),
}

enum Job {
    Run(Box<Statement>, Reply),
    Close,
}

/// A handle to the ClickHouse engine of this process. Clones share it; the engine closes with the last one.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("data_dir", &self.data_dir())
            .field("version", &self.version())
            .finish()
    }
}

struct Shared {
    queue: SyncSender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    live: Arc<Live>,
    spool: Spool,
    version: String,
    timezone: String,
}

/// The engine that is open in this process: there can be only one.
struct Live {
    data_dir: PathBuf,
    closing: AtomicBool,
    closed: Mutex<bool>,
    changed: Condvar,
}

static LIVE: Mutex<Option<(Arc<Live>, SyncSender<Job>)>> = Mutex::new(None);
static CHDB: Mutex<Option<Arc<Chdb>>> = Mutex::new(None);

impl Engine {
    /// Opens the engine on a data folder, which is made if it is not there.
    ///
    /// # Errors
    /// The library is missing or unusable; the folder is in use, by this process or another; the engine
    /// refuses the folder.
    pub fn open(data_dir: &Path) -> Result<Engine, EngineError> {
        std::fs::create_dir_all(data_dir).map_err(|e| EngineError::io("cannot make", data_dir, e))?;
        let data_dir = data_dir.canonicalize().map_err(|e| EngineError::io("cannot open", data_dir, e))?;
        let path = match data_dir.to_str() {
            Some(path) if !path.contains(['*', '?', '{', '}', '[', ']']) => path.to_owned(),
            _ => return Err(EngineError::UnsupportedPath { data_dir }),
        };
        let mut slot = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((live, _)) = slot.as_ref() {
            let data_dir = live.data_dir.clone();
            return Err(if data_dir == Path::new(&path) {
                EngineError::InUse { data_dir, pid: Some(std::process::id()) }
            } else {
                EngineError::AlreadyOpen { data_dir }
            });
        }
        let lock = lock(&data_dir)?;
        let spool = Spool::open(&data_dir)?;
        let chdb = load()?;
        stdin::keep();
        let live = Arc::new(Live {
            data_dir: data_dir.clone(),
            closing: AtomicBool::new(false),
            closed: Mutex::new(false),
            changed: Condvar::new(),
        });
        let (queue, jobs) = sync_channel(QUEUE_LENGTH);
        let (opened, opening) = sync_channel(1);
        let (thread_live, thread_dir) = (live.clone(), data_dir.clone());
        let thread = std::thread::Builder::new()
            .name("clickhouse".to_owned())
            .spawn(move || {
                match Worker::open(chdb, path) {
                    Ok((worker, version, timezone)) => {
                        let _ = opened.send(Some((version, timezone)));
                        worker.run(&jobs, &thread_live);
                    }
                    Err(()) => drop(opened),
                }
                drop(lock);
                thread_live.finish();
            })
            .map_err(|e| EngineError::io("cannot start a thread for", &data_dir, e))?;
        let Ok(Some((version, timezone))) = opening.recv() else {
            drop(slot);
            let _ = thread.join();
            return Err(EngineError::OpenFailed { data_dir: thread_dir });
        };
        // After the first opening, so that it runs before the exit handlers that the engine has registered.
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| ffi::at_exit(close_at_exit));
        *slot = Some((live.clone(), queue.clone()));
        drop(slot);
        let thread = Mutex::new(Some(thread));
        Ok(Engine { shared: Arc::new(Shared { queue, thread, live, spool, version, timezone }) })
    }

    /// Runs one statement and gives its result in `format`. It waits, so it is not for an async context.
    ///
    /// Nothing of a statement's session outlives it: `USE` and `SET` have no effect on the next one, which is what
    /// [`QueryOptions`] are for. A result is held in memory as a whole.
    ///
    /// # Errors
    /// ClickHouse's exception, a full queue, or an engine that was closed.
    pub fn query(&self, sql: &str, format: &str, options: &QueryOptions) -> Result<Vec<u8>, EngineError> {
        self.execute(sql, format, options).map(|outcome| outcome.data)
    }

    /// As [`Engine::query`], with what the statement read and wrote.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub fn execute(&self, sql: &str, format: &str, options: &QueryOptions) -> Result<Outcome, EngineError> {
        let session = matches!(sql::shape(sql.as_bytes()), Ok(sql::Shape::Other { session: true, .. }));
        let (sql, format) = (sql.as_bytes().to_vec(), format.to_owned());
        let (reply, answer) = sync_channel(1);
        self.send(Statement { sql, format, options: options.clone(), session }, Reply::Blocking(reply))?;
        answer.recv().unwrap_or(Err(EngineError::Closed))
    }

    pub(crate) async fn run(&self, statement: Statement) -> Result<Outcome, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(statement, Reply::Async(reply))?;
        answer.await.unwrap_or(Err(EngineError::Closed))
    }

    /// The release of the engine, such as `26.5.1.1`.
    pub fn version(&self) -> &str {
        &self.shared.version
    }

    /// The engine's time zone.
    pub fn timezone(&self) -> &str {
        &self.shared.timezone
    }

    /// The folder of the data, as it was resolved.
    pub fn data_dir(&self) -> &Path {
        &self.shared.live.data_dir
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.shared.spool
    }

    /// Closes the engine after the statement that is running; waiting ones get [`EngineError::Closed`].
    /// Other handles stay, and find it closed.
    pub fn close(self) {
        self.shared.close();
    }

    fn send(&self, statement: Statement, reply: Reply) -> Result<(), EngineError> {
        if self.shared.live.closing.load(Ordering::Acquire) {
            return Err(EngineError::Closed);
        }
        self.shared
            .queue
            .try_send(Job::Run(
                Box::new(Statement { sql: sql::without_sync(statement.sql), ..statement }),
                reply,
            ))
            .map_err(|error| match error {
                TrySendError::Full(_) => EngineError::QueueFull,
                TrySendError::Disconnected(_) => EngineError::Closed,
            })
    }
}

impl Shared {
    fn close(&self) {
        self.live.ask_to_close(&self.queue);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl Live {
    /// A full queue needs no message: the thread looks at the flag after every statement.
    fn ask_to_close(&self, queue: &SyncSender<Job>) {
        self.closing.store(true, Ordering::Release);
        let _ = queue.try_send(Job::Close);
    }

    fn finish(&self) {
        let mut slot = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|(live, _)| std::ptr::eq(&**live, self)) {
            *slot = None;
        }
        drop(slot);
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

/// The engine's exit handlers crash while a connection is open, so that is closed first.
extern "C" fn close_at_exit() {
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((live, queue)) = live {
        live.ask_to_close(&queue);
        let closed = live.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = live.changed.wait_timeout_while(closed, EXIT_GRACE, |closed| !*closed);
    }
}

fn load() -> Result<Arc<Chdb>, EngineError> {
    let mut loaded = CHDB.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(chdb) = loaded.as_ref() {
        return Ok(chdb.clone());
    }
    let path = locate()?;
    let chdb = Chdb::load(&path)
        .map_err(|e| EngineError::LibraryUnusable { path: path.clone(), reason: e.to_string() })?;
    Ok(loaded.insert(chdb).clone())
}

/// Takes the data folder's lock, which the system gives back when the process ends, however it ends.
fn lock(data_dir: &Path) -> Result<File, EngineError> {
    let path = data_dir.join("streamgauge.lock");
    let io = |e| EngineError::io("cannot lock", &path, e);
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            file.rewind().map_err(io)?;
            write!(file, "{}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.take(16).read_to_string(&mut pid);
            Err(EngineError::InUse { data_dir: data_dir.to_owned(), pid: pid.trim().parse().ok() })
        }
        Err(TryLockError::Error(e)) => Err(io(e)),
    }
}

/// The state of the engine's thread.
struct Worker {
    chdb: Arc<Chdb>,
    path: String,
    version: String,
    /// The session of the last statement, kept for the next one with the same database and settings.
    session: Option<(SessionKey, Connection)>,
    /// Keeps the engine up while sessions come and go. Dropped last.
    _root: Connection,
}

#[derive(PartialEq, Eq)]
struct SessionKey {
    database: Option<String>,
    settings: BTreeMap<String, String>,
    readonly: Option<u8>,
}

impl Worker {
    fn open(chdb: Arc<Chdb>, path: String) -> Result<(Worker, String, String), ()> {
        let root = Connection::open(&chdb, &path).ok_or(())?;
        let answer = root.query(b"SELECT version(), timezone()", "TSVRaw", &[]).map_err(drop)?;
        let text = String::from_utf8_lossy(&answer.data).into_owned();
        let (version, timezone) = text.trim_end().split_once('\t').ok_or(())?;
        let (version, timezone) = (version.to_owned(), timezone.to_owned());
        let worker = Worker { chdb, path, version: version.clone(), session: None, _root: root };
        Ok((worker, version, timezone))
    }

    fn run(mut self, jobs: &Receiver<Job>, live: &Live) {
        while let Ok(Job::Run(statement, reply)) = jobs.recv() {
            let closing = live.closing.load(Ordering::Acquire);
            match reply {
                // A client that has gone while its statement waited gets no work done for it.
                Reply::Async(reply) if reply.is_closed() => {}
                Reply::Async(reply) => {
                    let _ =
                        reply.send(if closing { Err(EngineError::Closed) } else { self.execute(&statement) });
                }
                Reply::Blocking(reply) => {
                    let _ =
                        reply.send(if closing { Err(EngineError::Closed) } else { self.execute(&statement) });
                }
            }
            if closing {
                break;
            }
        }
    }

    fn execute(&mut self, statement: &Statement) -> Result<Outcome, EngineError> {
        let options = &statement.options;
        let key = SessionKey {
            database: options.database.clone(),
            settings: options.settings.clone(),
            readonly: options.readonly,
        };
        let session = match self.session.take().filter(|(kept, _)| *kept == key) {
            Some((_, session)) => session,
            None => self.open_session(&key)?,
        };
        let parameters: Vec<(&str, &str)> =
            options.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = session
            .query(&statement.sql, &statement.format, &parameters)
            .map_err(|text| Exception::from_engine(&text, &self.version))?;
        if !statement.session {
            self.session = Some((key, session));
        }
        let statistics = Statistics {
            read_rows: answer.read_rows,
            read_bytes: answer.read_bytes,
            written_rows: answer.written_rows,
            written_bytes: answer.written_bytes,
            result_rows: answer.result_rows,
            result_bytes: answer.result_bytes,
            elapsed_ns: (answer.elapsed_s * 1e9) as u64,
        };
        Ok(Outcome { data: answer.data, statistics })
    }

    fn open_session(&self, key: &SessionKey) -> Result<Connection, EngineError> {
        let session = Connection::open(&self.chdb, &self.path)
            .ok_or_else(|| Exception::new(1001, "STD_EXCEPTION", "the engine opened no session"))?;
        let run = |sql: String| {
            session
                .query(sql.as_bytes(), "Null", &[])
                .map_err(|text| Exception::from_engine(&text, &self.version))
        };
        if let Some(database) = &key.database {
            run(format!("USE {}", sql::identifier(database)))?;
        }
        // `readonly` comes last: after it, settings may not be changed.
        let readonly = key.readonly.map(|level| ("readonly", level.to_string()));
        let mut assignments = Vec::new();
        for (name, value) in key.settings.iter().map(|(n, v)| (n.as_str(), v.clone())).chain(readonly) {
            if !sql::is_name(name) {
                return Err(
                    Exception::new(115, "UNKNOWN_SETTING", format!("Unknown setting '{name}'")).into()
                );
            }
            assignments.push(format!("{name} = {}", sql::literal(&value)));
        }
        if !assignments.is_empty() {
            run(format!("SET {}", assignments.join(", ")))?;
        }
        Ok(session)
    }
}
