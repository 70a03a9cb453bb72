//! A way to a broker on which the ends of transactions go wrong, as they do on networks: late, cut off, told twice.
//!
//! Of Kafka's protocol only the frame is read: its length, and of a request its kind and correlation number.
//! Source: <https://kafka.apache.org/protocol#protocol_messages>.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// The kind of the request `EndTxn`.
const END_TXN: i16 = 26;
/// The longest frame: a broker takes requests of 100 MiB.
const FRAME_BYTES: usize = 128 << 20;

/// What happens to the end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Its answer comes this much later.
    Slow(Duration),
    /// The broker gets it, and the connection breaks before the answer.
    Cut,
    /// The connection breaks, and the broker gets it this much later: by then the client has sent it again.
    Late(Duration),
    /// The broker gets it, the connection breaks, and the broker gets it again this much later.
    Twice(Duration),
}

type Faults = dyn Fn(u64) -> Fault + Send + Sync;

struct Shared {
    target: AtomicU16,
    stops: AtomicBool,
    faults: Mutex<Arc<Faults>>,
    /// How many ends of transactions came, and how many met a fault.
    met: Mutex<(u64, u64)>,
    /// Requests that are still to reach the broker.
    late: AtomicU64,
}

/// Forwards connections from one loopback port to another.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("port", &self.port).field("met", &self.met()).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Takes a free port; connections wait until [`Proxy::forward`].
    ///
    /// # Errors
    /// No port is free.
    pub fn bind() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free loopback port for a proxy")?;
        let port = listener.local_addr().context("no address")?.port();
        let shared = Arc::new(Shared {
            target: AtomicU16::new(0),
            stops: AtomicBool::new(false),
            faults: Mutex::new(Arc::new(|_| Fault::Pass)),
            met: Mutex::default(),
            late: AtomicU64::new(0),
        });
        let accepting = shared.clone();
        spawn(move || {
            for client in listener.incoming() {
                if accepting.stops.load(Ordering::Relaxed) {
                    return;
                }
                let target = accepting.target.load(Ordering::Relaxed);
                if let (Ok(client), Ok(broker)) = (client, TcpStream::connect(("127.0.0.1", target))) {
                    let shared = accepting.clone();
                    spawn(move || _ = Connection { client, broker, slow: Mutex::default() }.pass(&shared));
                }
            }
        });
        Ok(Self { port, shared })
    }

    /// Where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// To which port connections go from now on.
    pub fn forward(&self, target: u16) {
        self.shared.target.store(target, Ordering::Relaxed);
    }

    /// What happens to ends of transactions from now on, by their number.
    pub fn set(&self, faults: impl Fn(u64) -> Fault + Send + Sync + 'static) {
        *locked(&self.shared.faults) = Arc::new(faults);
    }

    /// How many requests the broker is still to get late.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.shared.late.load(Ordering::Relaxed)
    }

    /// How many ends of transactions came, and how many met a fault.
    #[must_use]
    pub fn met(&self) -> (u64, u64) {
        *locked(&self.shared.met)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn fault(&self) -> Fault {
        let number = {
            let mut met = locked(&self.met);
            met.0 += 1;
            met.0
        };
        let faults = locked(&self.faults).clone();
        let fault = faults(number);
        if fault != Fault::Pass {
            locked(&self.met).1 += 1;
        }
        fault
    }
}

struct Connection {
    client: TcpStream,
    broker: TcpStream,
    /// Answers that are held back, by correlation number.
    slow: Mutex<BTreeMap<[u8; 4], Duration>>,
}

impl Connection {
    fn pass(self, shared: &Arc<Shared>) -> std::io::Result<()> {
        // What is answered late is lost by a client that waits for the rest of a frame.
        self.client.set_nodelay(true)?;
        self.broker.set_nodelay(true)?;
        let both = Arc::new(self);
        let answering = both.clone();
        spawn(move || _ = answering.answers());
        let asked = both.requests(shared);
        let _ = both.client.shutdown(Shutdown::Both);
        if matches!(asked, Ok(Ended::ByClient) | Err(_)) {
            let _ = both.broker.shutdown(Shutdown::Both);
        }
        Ok(())
    }

    fn requests(self: &Arc<Self>, shared: &Arc<Shared>) -> std::io::Result<Ended> {
        let (mut from, mut to) = (self.client.try_clone()?, self.broker.try_clone()?);
        while let Some(frame) = read(&mut from)? {
            let kind = frame.get(4..6).and_then(|kind| kind.try_into().ok()).map(i16::from_be_bytes);
            let fault = if kind == Some(END_TXN) { shared.fault() } else { Fault::Pass };
            match fault {
                Fault::Pass => to.write_all(&frame)?,
                Fault::Slow(delay) => {
                    if let Some(number) = frame.get(8..12).and_then(|number| number.try_into().ok()) {
                        locked(&self.slow).insert(number, delay);
                    }
                    to.write_all(&frame)?;
                }
                Fault::Cut => {
                    let _ = self.client.shutdown(Shutdown::Both);
                    to.write_all(&frame)?;
                    return Ok(Ended::later(to, None, shared));
                }
                Fault::Late(delay) => {
                    let _ = self.client.shutdown(Shutdown::Both);
                    return Ok(Ended::later(to, Some((delay, frame)), shared));
                }
                Fault::Twice(delay) => {
                    let _ = self.client.shutdown(Shutdown::Both);
                    to.write_all(&frame)?;
                    return Ok(Ended::later(to, Some((delay, frame)), shared));
                }
            }
        }
        Ok(Ended::ByClient)
    }

    fn answers(&self) -> std::io::Result<()> {
        let (mut from, mut to) = (self.broker.try_clone()?, self.client.try_clone()?);
        while let Some(frame) = read(&mut from)? {
            let number: Option<[u8; 4]> = frame.get(4..8).and_then(|number| number.try_into().ok());
            let delay = number.and_then(|number| locked(&self.slow).remove(&number));
            if let Some(delay) = delay {
                sleep(delay);
            }
            // The broker's side stays open for what is still to come, whether the client is there or not.
            let _ = to.write_all(&frame);
        }
        let _ = self.client.shutdown(Shutdown::Both);
        Ok(())
    }
}

/// How the client's side of a connection ended.
enum Ended {
    ByClient,
    ByFault,
}

impl Ended {
    /// Keeps the broker's side for a while, and sends it what is late.
    fn later(mut broker: TcpStream, late: Option<(Duration, Vec<u8>)>, shared: &Arc<Shared>) -> Self {
        let shared = shared.clone();
        shared.late.fetch_add(u64::from(late.is_some()), Ordering::Relaxed);
        spawn(move || {
            if let Some((delay, frame)) = late {
                sleep(delay);
                let _ = broker.write_all(&frame);
                shared.late.fetch_sub(1, Ordering::Relaxed);
            }
            // The broker reads what was sent before it hears of the end.
            sleep(Duration::from_secs(1));
            let _ = broker.shutdown(Shutdown::Both);
        });
        Self::ByFault
    }
}

/// A frame with its length; `None`: the sender has ended.
fn read(from: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let bytes = usize::try_from(i32::from_be_bytes(length)).ok().filter(|bytes| *bytes <= FRAME_BYTES);
    let bytes = bytes.ok_or_else(|| std::io::Error::other("no frame of Kafka's protocol"))?;
    let mut frame = vec![0; 4 + bytes];
    let (head, body) = frame.split_at_mut(4);
    head.copy_from_slice(&length);
    from.read_exact(body)?;
    Ok(Some(frame))
}
