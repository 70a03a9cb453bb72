//! chDB's C interface. The only module with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::Arc;

use libloading::Library;

type RawConnection = *mut c_void;
type RawResult = *mut c_void;

/// The functions of the library that are used. The library stays loaded for the life of the process: the
/// engine's own threads and exit handlers run its code.
pub struct Chdb {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut RawConnection,
    close: unsafe extern "C" fn(*mut RawConnection),
    query: unsafe extern "C" fn(
        RawConnection,
        *const c_char,
        usize,
        *const c_char,
        usize,
        *const *const c_char,
        *const usize,
        *const *const c_char,
        *const usize,
        usize,
    ) -> RawResult,
    destroy: unsafe extern "C" fn(RawResult),
    error: unsafe extern "C" fn(RawResult) -> *const c_char,
    buffer: unsafe extern "C" fn(RawResult) -> *const c_char,
    length: unsafe extern "C" fn(RawResult) -> usize,
    elapsed: unsafe extern "C" fn(RawResult) -> f64,
    result_rows: unsafe extern "C" fn(RawResult) -> u64,
    result_bytes: unsafe extern "C" fn(RawResult) -> u64,
    read_rows: unsafe extern "C" fn(RawResult) -> u64,
    read_bytes: unsafe extern "C" fn(RawResult) -> u64,
    written_rows: unsafe extern "C" fn(RawResult) -> u64,
    written_bytes: unsafe extern "C" fn(RawResult) -> u64,
}

/// What a statement gave, copied out of the engine's memory.
#[derive(Debug, Default)]
pub struct Answer {
    pub data: Vec<u8>,
    pub elapsed_s: f64,
    pub result_rows: u64,
    pub result_bytes: u64,
    pub read_rows: u64,
    pub read_bytes: u64,
    pub written_rows: u64,
    pub written_bytes: u64,
}

impl Chdb {
    /// Loads the library and keeps it from taking over the process's signals.
    pub fn load(path: &Path) -> Result<Arc<Chdb>, libloading::Error> {
        // SAFETY: the file is libchdb.so; its initialisers only set up the engine's own globals.
        let library = unsafe { Library::new(path) }?;
        // SAFETY: the types are those of chdb.h, release 26.5.
        let chdb = unsafe {
            let set_signal_handlers: unsafe extern "C" fn(c_int) =
                *library.get(b"chdb_set_signal_handlers_enabled\0")?;
            set_signal_handlers(0);
            Chdb {
                connect: *library.get(b"chdb_connect\0")?,
                close: *library.get(b"chdb_close_conn\0")?,
                query: *library.get(b"chdb_query_with_params_n\0")?,
                destroy: *library.get(b"chdb_destroy_query_result\0")?,
                error: *library.get(b"chdb_result_error\0")?,
                buffer: *library.get(b"chdb_result_buffer\0")?,
                length: *library.get(b"chdb_result_length\0")?,
                elapsed: *library.get(b"chdb_result_elapsed\0")?,
                result_rows: *library.get(b"chdb_result_rows_read\0")?,
                result_bytes: *library.get(b"chdb_result_bytes_read\0")?,
                read_rows: *library.get(b"chdb_result_storage_rows_read\0")?,
                read_bytes: *library.get(b"chdb_result_storage_bytes_read\0")?,
                written_rows: *library.get(b"chdb_result_rows_written\0")?,
                written_bytes: *library.get(b"chdb_result_bytes_written\0")?,
            }
        };
        std::mem::forget(library);
        Ok(Arc::new(chdb))
    }
}

/// A connection: a session of the one engine of the process. It stays on the thread that opened it.
pub struct Connection {
    chdb: Arc<Chdb>,
    raw: *mut RawConnection,
}

impl Connection {
    /// Opens a session on the data folder. `None`: the engine refused, and does not say why.
    pub fn open(chdb: &Arc<Chdb>, data_dir: &str) -> Option<Connection> {
        let arguments = [c"streamgauge".to_owned(), CString::new(format!("--path={data_dir}")).ok()?];
        let mut pointers: Vec<*mut c_char> = arguments.iter().map(|a| a.as_ptr().cast_mut()).collect();
        // SAFETY: `pointers` are terminated strings that live until the call returns; the engine copies them
        // and doesn't write to them.
        let raw = unsafe { (chdb.connect)(pointers.len() as c_int, pointers.as_mut_ptr()) };
        // SAFETY: a pointer that isn't null points to the connection's handle.
        let opened = !raw.is_null() && unsafe { !(*raw).is_null() };
        opened.then(|| Connection { chdb: chdb.clone(), raw })
    }

    /// Runs one statement. `parameters` are the values of `{name:Type}`, escaped as in the TSV format.
    ///
    /// # Errors
    /// The engine's text.
    pub fn query(&self, sql: &[u8], format: &str, parameters: &[(&str, &str)]) -> Result<Answer, String> {
        let names: Vec<*const c_char> = parameters.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = parameters.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const c_char> = parameters.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = parameters.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: the connection is open until drop; every pointer comes with its length and lives until the
        // call returns, and the engine copies what it keeps.
        let result = unsafe {
            (self.chdb.query)(
                *self.raw,
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        if result.is_null() {
            return Err("the engine gave no result".to_owned());
        }
        let answer = self.read(result);
        // SAFETY: `result` came from the engine, is destroyed once, and nothing points into it any more.
        unsafe { (self.chdb.destroy)(result) };
        answer
    }

    fn read(&self, result: RawResult) -> Result<Answer, String> {
        let chdb = &*self.chdb;
        // SAFETY: `result` is a live result; the error is null or a terminated string that it owns, the buffer
        // is null or has `length` bytes. Both are copied before the result is destroyed.
        unsafe {
            let error = (chdb.error)(result);
            if !error.is_null() {
                return Err(CStr::from_ptr(error).to_string_lossy().into_owned());
            }
            let (buffer, length) = ((chdb.buffer)(result), (chdb.length)(result));
            let data = if buffer.is_null() || length == 0 {
                Vec::new()
            } else {
                std::slice::from_raw_parts(buffer.cast::<u8>(), length).to_vec()
            };
            Ok(Answer {
                data,
                elapsed_s: (chdb.elapsed)(result),
                result_rows: (chdb.result_rows)(result),
                result_bytes: (chdb.result_bytes)(result),
                read_rows: (chdb.read_rows)(result),
                read_bytes: (chdb.read_bytes)(result),
                written_rows: (chdb.written_rows)(result),
                written_bytes: (chdb.written_bytes)(result),
            })
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: `raw` was opened by this library and is closed once.
        unsafe { (self.chdb.close)(self.raw) };
    }
}

unsafe extern "C" {
    #[link_name = "atexit"]
    fn libc_atexit(callback: extern "C" fn()) -> c_int;
}

/// Has `callback` called when the process ends in an orderly way, before the library's own exit handlers,
/// which crash while a connection is open.
pub fn at_exit(callback: extern "C" fn()) {
    // SAFETY: registering a function that doesn't unwind is always allowed; handlers run last in, first out, and
    // this one comes after the library's.
    unsafe { libc_atexit(callback) };
}
