//! Free loopback ports that stay ours while nobody listens on them.

use anyhow::{Result, bail};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Below the range from which systems take the ports of outgoing connections: a broker that is killed and started
/// again must find its port free.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const TRIES: usize = 500;

/// A TCP port. A UDP socket of the same number marks it as taken for other clusters, of this process and of others,
/// also while the broker is down; the mark goes with this value or with the process.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    _mark: UdpSocket,
}

impl Port {
    /// The preferred port when it is free, else any.
    pub fn take(preferred: Option<u16>) -> Result<Self> {
        let width = u64::from(RANGE.end - RANGE.start);
        let random = || RandomState::new().build_hasher().finish() % width;
        let any = || u16::try_from(random()).map_or(RANGE.start, |offset| RANGE.start + offset);
        for number in preferred.into_iter().chain(std::iter::repeat_with(any).take(TRIES)) {
            let address = (Ipv4Addr::LOCALHOST, number);
            if let (Ok(mark), Ok(_)) = (UdpSocket::bind(address), TcpListener::bind(address)) {
                return Ok(Self { number, _mark: mark });
            }
        }
        bail!("no free loopback port among {TRIES} tried from {} to {}", RANGE.start, RANGE.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preferred_port_is_given_once_and_again_when_it_is_free() {
        let first = Port::take(None).unwrap();
        let number = first.number;
        assert_ne!(Port::take(Some(number)).unwrap().number, number);
        drop(first);
        assert_eq!(Port::take(Some(number)).unwrap().number, number);
    }

    #[test]
    fn a_port_that_a_program_listens_on_is_not_given() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        assert_ne!(Port::take(Some(number)).unwrap().number, number);
    }
}
