//! One GET over TLS, for what SNS asks to be fetched. It blocks; redirects are not followed.

use crate::limits::{SNS_ANSWER_BYTES, SNS_WITHIN};
use crate::verify::Address;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

/// Fetches what lies at an address. The server is proved by the certificates that Mozilla trusts.
pub(crate) fn get(address: &Address) -> Result<Vec<u8>, String> {
    let text = |error: &dyn std::fmt::Display| format!("{}: {error}", address.host);
    let socket = (address.host.as_str(), 443).to_socket_addrs().map_err(|error| text(&error))?;
    let socket = socket.into_iter().next().ok_or_else(|| text(&"it has no address"))?;
    let tcp = TcpStream::connect_timeout(&socket, SNS_WITHIN).map_err(|error| text(&error))?;
    tcp.set_read_timeout(Some(SNS_WITHIN)).map_err(|error| text(&error))?;
    tcp.set_write_timeout(Some(SNS_WITHIN)).map_err(|error| text(&error))?;
    let name = ServerName::try_from(address.host.clone()).map_err(|error| text(&error))?;
    let client =
        ClientConnection::new(config().map_err(|error| text(&error))?, name).map_err(|error| text(&error))?;
    let mut stream = StreamOwned::new(client, tcp);
    let request =
        format!("GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", address.path, address.host);
    stream.write_all(request.as_bytes()).map_err(|error| text(&error))?;
    let mut answer = Vec::new();
    stream.take(SNS_ANSWER_BYTES as u64).read_to_end(&mut answer).map_err(|error| text(&error))?;
    body(&answer).ok_or_else(|| text(&"the answer is not 200"))
}

fn config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The body of an answer that is 200. In HTTP/1.0 it ends with the connection, and has no chunks.
fn body(answer: &[u8]) -> Option<Vec<u8>> {
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..split)?).ok()?;
    let status = head.split(' ').nth(1)?;
    (status == "200").then(|| answer.get(split + 4..).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_body_of_a_200_is_an_answer() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx\r\n\r\ny"), Some(b"x\r\n\r\ny".to_vec()));
        assert_eq!(body(b"HTTP/1.1 302 Found\r\n\r\nx"), None);
        assert_eq!(body(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
