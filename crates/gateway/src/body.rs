//! A request's body: received within its time, unpacked, never longer than the limit.

use crate::answer::{Answer, Outcome};
use crate::limits::{BODY_BYTES, BODY_WITHIN};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::CONTENT_ENCODING;
use std::io::Read;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit of the memory stands for.
const PERMIT_BYTES: usize = 1024;

/// The memory that bodies may take, over all connections.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Semaphore>);

/// What a request holds of it.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Memory,
    permits: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / PERMIT_BYTES)))
    }
    pub(crate) fn none(&self) -> Held {
        Held { memory: self.clone(), permits: None }
    }
}

impl Held {
    /// Takes as much as so many bytes need, together with what it has.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Answer> {
        let has = self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PERMIT_BYTES).saturating_sub(has);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Answer::busy())?;
        let taken = self.memory.0.clone().try_acquire_many_owned(more).map_err(|_| Answer::busy())?;
        match &mut self.permits {
            Some(permits) => permits.merge(taken),
            None => self.permits = Some(taken),
        }
        Ok(())
    }
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Answer> {
        match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()) {
            None => Ok(Self::Plain),
            Some(name) if name.is_empty() || name == b"identity" => Ok(Self::Plain),
            Some(name) if name == b"gzip" || name == b"x-gzip" => Ok(Self::Gzip),
            Some(_) => Err(Answer::new(
                Outcome::Unsupported,
                "Content-Encoding is neither gzip nor identity: send the body as it is",
            )),
        }
    }
}

/// Receives a body.
pub(crate) async fn receive(mut body: Incoming, held: &mut Held) -> Result<Bytes, Answer> {
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(Answer::too_large());
    }
    let received = async {
        // Nearly every body comes in one frame, and is not copied.
        let mut first = Bytes::new();
        let mut all: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let broken = |_| Answer::new(Outcome::TooSlow, "the body broke off: send it again");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            let length = first.len() + all.len() + data.len();
            if length > BODY_BYTES {
                return Err(Answer::too_large());
            }
            held.grow(length)?;
            if first.is_empty() && all.is_empty() {
                first = data;
            } else {
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&data);
            }
        }
        Ok(if all.is_empty() { first } else { Bytes::from(all) })
    };
    tokio::time::timeout(BODY_WITHIN, received).await.unwrap_or_else(|_| {
        let detail = format!("the body did not come within {} s: send it again", BODY_WITHIN.as_secs());
        Err(Answer::new(Outcome::TooSlow, detail))
    })
}

/// Unpacks a body.
pub(crate) fn unpack(packed: Bytes, packing: Packing, held: &mut Held) -> Result<Bytes, Answer> {
    if packing == Packing::Plain {
        return Ok(packed);
    }
    let mut decoder = MultiGzDecoder::new(&*packed);
    let mut unpacked = Vec::new();
    let mut chunk = [0_u8; 16 * 1024];
    loop {
        let read = decoder.read(&mut chunk).map_err(|error| {
            Answer::new(
                Outcome::Malformed,
                format!("the body is not the gzip that Content-Encoding says: {error}"),
            )
        })?;
        if read == 0 {
            return Ok(Bytes::from(unpacked));
        }
        if unpacked.len() + read > BODY_BYTES {
            return Err(Answer::too_large());
        }
        held.grow(packed.len() + unpacked.len() + read)?;
        unpacked.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn packed(bytes: usize) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let chunk = vec![b' '; 1 << 20];
        let mut left = bytes;
        while left > 0 {
            let now = left.min(chunk.len());
            encoder.write_all(&chunk[..now]).unwrap();
            left -= now;
        }
        encoder.finish().unwrap().into()
    }

    #[test]
    fn a_bomb_is_cut_off_at_the_limit() {
        let memory = Memory::new(64 << 20);
        let fits = unpack(packed(BODY_BYTES), Packing::Gzip, &mut memory.none()).unwrap();
        assert_eq!(fits.len(), BODY_BYTES);
        let bomb = packed(1 << 30);
        assert!(bomb.len() < 2 << 20, "{}", bomb.len());
        let answer = unpack(bomb, Packing::Gzip, &mut memory.none()).unwrap_err();
        assert_eq!(answer.outcome, Outcome::TooLarge);
        assert_eq!(memory.0.available_permits(), (64 << 20) / PERMIT_BYTES);
    }

    #[test]
    fn what_is_no_gzip_is_malformed_and_too_much_at_once_is_refused() {
        let memory = Memory::new(1 << 20);
        let answer = unpack(Bytes::from_static(b"{}"), Packing::Gzip, &mut memory.none()).unwrap_err();
        assert_eq!(answer.outcome, Outcome::Malformed);
        let answer = unpack(packed(2 << 20), Packing::Gzip, &mut memory.none()).unwrap_err();
        assert_eq!(answer.outcome, Outcome::Unavailable);
    }
}
