//! The body of a request: read piece by piece, taken out of its blocks, and put into the spool.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::framing::Decoder;
use crate::limits::MAX_INSERT_BODY;
use crate::spool::SpoolFile;
use crate::{EngineError, Exception};

/// A body, decompressed as it is read.
pub struct Source {
    body: Body,
    decoder: Option<Decoder>,
}

impl Source {
    /// `decompress`: the body is in blocks of ClickHouse's native compression.
    pub fn new(body: Body, decompress: bool) -> Source {
        Source { body, decoder: decompress.then(Decoder::default) }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// A client that went away, and blocks that are damaged or cut.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Exception> {
        loop {
            if let Some(block) = self.decoder.as_mut().map(Decoder::next).transpose()?.flatten() {
                return Ok(Some(block));
            }
            let Some(frame) = self.body.frame().await else {
                return match &self.decoder {
                    Some(decoder) if decoder.is_cut() => {
                        Err(cut("the last compressed block is not complete"))
                    }
                    _ => Ok(None),
                };
            };
            let frame = frame.map_err(|e| cut(&e.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            match &mut self.decoder {
                Some(decoder) => decoder.push(&data),
                None => return Ok(Some(data)),
            }
        }
    }

    /// Reads on until `head` has more than `limit` bytes or the body ends. `true`: the body has ended.
    ///
    /// # Errors
    /// As [`Source::next`].
    pub async fn fill(&mut self, head: &mut Vec<u8>, limit: usize) -> Result<bool, Exception> {
        while head.len() <= limit {
            match self.next().await? {
                Some(data) => head.extend_from_slice(&data),
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Writes `begin` and the rest of the body into a file. The body was whole when this returns well.
    ///
    /// # Errors
    /// As [`Source::next`], a body beyond the limit, and a file that can't be written.
    pub async fn store(mut self, begin: &[u8], file: &SpoolFile) -> Result<(), EngineError> {
        let stored = self.write(begin, file).await;
        if stored.is_err() {
            self.pass_over().await;
        }
        stored
    }

    /// Reads what still comes, up to as much as an insert may have: a client that is cut off while it sends does not hear
    /// why.
    async fn pass_over(&mut self) {
        let mut left = MAX_INSERT_BODY;
        while let Some(Ok(frame)) = self.body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            left = left.saturating_sub(length);
            if left == 0 {
                return;
            }
        }
    }

    async fn write(&mut self, begin: &[u8], file: &SpoolFile) -> Result<(), EngineError> {
        let io = |e: io::Error| EngineError::io("cannot write", file.path(), e);
        let target = tokio::fs::File::create_new(file.path()).await.map_err(io)?;
        let mut target = tokio::io::BufWriter::with_capacity(1 << 18, target);
        target.write_all(begin).await.map_err(io)?;
        let mut written = begin.len() as u64;
        while let Some(data) = self.next().await? {
            written += data.len() as u64;
            if written > MAX_INSERT_BODY {
                let message = format!("the data of an insert is larger than {MAX_INSERT_BODY} bytes");
                return Err(Exception::new(229, "QUERY_IS_TOO_LARGE", message).into());
            }
            target.write_all(&data).await.map_err(io)?;
        }
        target.flush().await.map_err(io)
    }
}

fn cut(reason: &str) -> Exception {
    Exception::new(33, "CANNOT_READ_ALL_DATA", format!("Cannot read the whole body of the request: {reason}"))
}
