//! A TLS end before a plain server on loopback.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// The server's side of TLS with the certificate of `fixtures/tls`.
pub fn config(folder: &str) -> Arc<rustls::ServerConfig> {
    let certificate = CertificateDer::from_pem_file(format!("{folder}/localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{folder}/localhost.key.pem")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

/// Hands one request a connection on to 127.0.0.1:`port` and its answer back; gives its own port.
pub fn front(port: u16, folder: &str) -> u16 {
    let config = config(folder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (Ok(connection), config) = (connection, config.clone()) else {
                return;
            };
            std::thread::spawn(move || drop(relay(connection, config, port)));
        }
    });
    own
}

fn relay(connection: TcpStream, config: Arc<rustls::ServerConfig>, port: u16) -> std::io::Result<()> {
    let session = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = rustls::StreamOwned::new(session, connection);
    let mut bytes = [0; 16 * 1024];
    let count = tls.read(&mut bytes)?;
    let mut plain = TcpStream::connect(("127.0.0.1", port))?;
    plain.write_all(&bytes[..count])?;
    let count = plain.read(&mut bytes)?;
    tls.write_all(&bytes[..count])?;
    tls.conn.send_close_notify();
    tls.flush()
}
