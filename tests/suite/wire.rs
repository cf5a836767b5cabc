//! Requests that carry secrets: where they go, where they never go, and what a hostile other side can do to us.

use crate::env;

use env::api::{Api, Fault};
use secrecy::SecretString;
use sigilum_authz_notify::env::Env;
use sigilum_authz_notify::request::Which;
use sigilum_authz_notify::sigilum::http::{
    Http, HttpError, ListenerError, LoopbackTrust, Method, Options, Request, Response, TlsReason, check_url,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TOKEN: &str = "t0ken-of-the-owner";

fn get(http: &Http, url: &str, budget: Duration) -> Result<Response, HttpError> {
    let url = check_url(url, http.options().insecure)?;
    http.send(&Request::new(Method::GET, url, budget).bearer(&SecretString::from(TOKEN)))
}

fn from_env(pairs: &[(&str, &str)]) -> Http {
    Http::new(Options::from_env(&Env::from_pairs(pairs.iter().copied())))
}

/// Listens, takes one connection after the other, sends what arrives first on each, and answers with `answer`.
fn recorder(answer: &'static str) -> (u16, Receiver<String>) {
    record(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
}

fn record(listener: TcpListener, answer: &'static str) -> (u16, Receiver<String>) {
    record_by(|| {}, listener, answer)
}

/// The same by a thread that begins with `begin`.
fn record_by(
    begin: impl FnOnce() + Send + 'static,
    listener: TcpListener,
    answer: &'static str,
) -> (u16, Receiver<String>) {
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        begin();
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut bytes = [0; 4096];
            let count = connection.read(&mut bytes).unwrap_or(0);
            if sender
                .send(String::from_utf8_lossy(&bytes[..count]).into_owned())
                .is_err()
            {
                return;
            }
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    (port, receiver)
}

#[test]
fn a_request_arrives_whole() {
    let api = Api::start("secret");
    let http = from_env(&[]);
    let url = check_url(&api.url(), false).unwrap();
    let answer = http.send(&Request::new(Method::GET, url, Duration::from_secs(5)).bearer(&SecretString::from(TOKEN)));
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.is_json()), (404, true));
    let seen = &api.seen()[0];
    assert_eq!(seen.line, "GET /");
    assert_eq!(seen.headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(
        !seen.headers.contains_key("accept-encoding"),
        "nothing may be compressed: {seen:?}"
    );
}

#[test]
fn a_body_is_sent_as_json() {
    let (port, heads) = recorder(
        "HTTP/1.1 201 Created\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}",
    );
    let url = check_url(&format!("http://127.0.0.1:{port}/x"), false).unwrap();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = Request::new(method.clone(), url.clone(), Duration::from_secs(5))
            .header("x-sigilum-admin-token", TOKEN)
            .json(&serde_json::json!({"key": "value"}));
        let answer = from_env(&[]).send(&request).unwrap();
        assert_eq!((answer.status, answer.content_type.as_str()), (201, "application/json"));
        let head = heads.recv().unwrap();
        assert!(head.starts_with(&format!("{method} /x HTTP/1.1\r\n")), "{head}");
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        assert!(head.contains(&format!("x-sigilum-admin-token: {TOKEN}\r\n")), "{head}");
        assert!(head.ends_with("\r\n\r\n{\"key\":\"value\"}"), "{head}");
    }
}

#[test]
fn localhost_is_pinned_to_both_of_its_addresses() {
    let api = Api::start("secret");
    let http = from_env(&[]);
    let url = format!("http://localhost:{}/health", api.port());
    assert_eq!(get(&http, &url, Duration::from_secs(5)).unwrap().status, 200);
    // A machine without IPv6 has no such listener to reach.
    if let Some(listener) = of_both(|| TcpListener::bind("[::1]:0").ok()) {
        let api = Api::on(listener, "secret");
        let url = format!("http://localhost:{}/health", api.port());
        assert_eq!(get(&http, &url, Duration::from_secs(5)).unwrap().status, 200);
        let url = format!("http://[::1]:{}/health", api.port());
        assert_eq!(get(&http, &url, Duration::from_secs(5)).unwrap().status, 200);
    }
}

/// A listener whose port nobody listens on at 127.0.0.1, where `localhost` leads first: another test might.
fn of_both(bind: impl Fn() -> Option<TcpListener>) -> Option<TcpListener> {
    let mut listener = bind()?;
    let is_free = |listener: &TcpListener| {
        let port = listener.local_addr().unwrap().port();
        listener.local_addr().unwrap().is_ipv4() || TcpListener::bind(("127.0.0.1", port)).is_ok()
    };
    while !is_free(&listener) {
        listener = bind()?;
    }
    Some(listener)
}

/// Binds as another user of this machine, which only root can.
fn strangers(address: &str) -> Option<TcpListener> {
    let bind = || env::listener_of(env::STRANGER, address);
    let listener = if address.starts_with("[::1]") {
        of_both(bind)
    } else {
        bind()
    };
    if listener.is_none() {
        eprintln!("skipped: only root can listen on {address} as another user");
    }
    listener
}

#[test]
fn a_server_of_another_user_of_this_machine_gets_nothing() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let stranger = HttpError::Listener(ListenerError::Stranger(env::STRANGER));
    for (listens, asked) in [
        ("127.0.0.1:0", "http://127.0.0.1"),
        ("127.0.0.1:0", "http://localhost"),
        ("127.0.0.1:0", "https://localhost"),
        ("127.8.7.6:0", "http://127.8.7.6"),
        ("0.0.0.0:0", "http://127.0.0.1"),
        ("[::]:0", "http://127.0.0.1"),
        ("[::]:0", "http://[::1]"),
        ("[::ffff:127.0.0.1]:0", "http://127.0.0.1"),
        ("[::1]:0", "http://localhost"),
        // Plain http that a person has allowed, and that ends up here too.
        ("127.0.0.1:0", "http://0.0.0.0"),
        ("127.0.0.1:0", "http://[::ffff:127.0.0.1]"),
    ] {
        let Some(listener) = strangers(listens) else { return };
        let (port, heads) = record(listener, ANSWER);
        let http = from_env(&[("SIGILUM_ALLOW_INSECURE_HTTP", "1")]);
        let url = check_url(&format!("{asked}:{port}/"), true).unwrap();
        let ask = |trust| {
            let request = Request::new(Method::GET, url.clone(), Duration::from_secs(5));
            let request = request.bearer(&SecretString::from(TOKEN)).trusting(trust);
            http.send(&request)
        };
        for trust in [LoopbackTrust::Ours, LoopbackTrust::OursAnd(4711)] {
            let result = ask(trust);
            // Of a TLS handshake there is more to go wrong before.
            let tls = matches!(result, Err(HttpError::Tls(_)) if asked.starts_with("https"));
            assert!(
                tls || result.as_ref().err() == Some(&stranger),
                "{listens} {asked}: {result:?}"
            );
        }
        let head = || heads.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(!(head() + &head()).contains(TOKEN), "{listens} {asked}");
        if asked.starts_with("http:") {
            for trust in [LoopbackTrust::OursAnd(env::STRANGER), LoopbackTrust::Anyone] {
                assert_eq!(ask(trust).unwrap().status, 200, "{listens} {asked} {trust:?}");
                assert!(head().contains(TOKEN), "{listens} {asked} {trust:?}");
            }
        }
    }
}

/// A stranger takes the connection and gives the port free, which the owner's server, as it starts again, has before the
/// client has looked at who listens.
#[cfg(target_os = "linux")]
#[test]
fn a_stranger_who_took_the_connection_and_left_the_port_gets_nothing() {
    const OWNER: u32 = env::BROKER;
    if !env::can_be_others() {
        return;
    }
    let become_user = |uid| rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(uid)).unwrap();
    let http = from_env(&[]);
    for round in 0..40 {
        let listener = env::listener_of(env::STRANGER, "127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = check_url(&format!("http://{address}/"), false).unwrap();
        let request = Request::new(Method::GET, url, Duration::from_secs(5));
        let request = request
            .bearer(&SecretString::from(TOKEN))
            .trusting(LoopbackTrust::OursAnd(OWNER));
        std::thread::scope(|scope| {
            let taken = scope.spawn(move || {
                become_user(env::STRANGER);
                let (mut connection, _) = listener.accept().unwrap();
                drop(listener);
                connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut got = Vec::new();
                let _ = connection.read_to_end(&mut got);
                String::from_utf8_lossy(&got).into_owned()
            });
            let owner = scope.spawn(move || {
                become_user(OWNER);
                loop {
                    if let Ok(listener) = TcpListener::bind(address) {
                        return listener;
                    }
                }
            });
            let answer = http.send(&request);
            let stranger = HttpError::Listener(ListenerError::Stranger(env::STRANGER));
            assert_eq!(answer.err(), Some(stranger), "{round}");
            drop(owner.join().unwrap());
            let got = taken.join().unwrap();
            assert!(!got.contains(TOKEN), "{round}: {got}");
        });
    }
}

/// As nginx does it: root listens, and another user's process takes what comes.
#[cfg(target_os = "linux")]
#[test]
fn a_server_of_roots_may_hand_its_connections_on() {
    if !env::can_be_others() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let worker = || rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(env::STRANGER)).unwrap();
    let (port, heads) = record_by(worker, listener, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let http = from_env(&[]);
    for round in 0..3 {
        let answer = get(&http, &format!("http://127.0.0.1:{port}/"), Duration::from_secs(5));
        assert_eq!(answer.unwrap().status, 200, "{round}");
        let mut head = heads.recv_timeout(Duration::from_secs(5)).unwrap();
        if head.is_empty() {
            // The worker had taken this one before it was looked at, and its listener was not known yet.
            head = heads.recv_timeout(Duration::from_secs(5)).unwrap();
        }
        assert!(head.contains(TOKEN), "{round}: {head}");
    }
}

#[test]
fn of_localhosts_addresses_the_one_with_our_server_is_used() {
    let Some(listener) = strangers("127.0.0.1:0") else {
        return;
    };
    let (port, heads) = record(listener, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let Ok(ours) = TcpListener::bind(("::1", port)) else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let api = Api::on(ours, "secret");
    let answer = get(
        &from_env(&[]),
        &format!("http://localhost:{port}/health"),
        Duration::from_secs(5),
    );
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(api.seen()[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(heads.recv_timeout(Duration::from_secs(5)).unwrap(), "");
}

#[test]
fn no_proxy_ever_sees_a_request_to_this_machine_or_plain_http() {
    let (port, heads) = recorder("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let proxy = format!("http://127.0.0.1:{port}");
    let names = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ];
    let mut pairs: Vec<(&str, &str)> = names.iter().map(|name| (*name, proxy.as_str())).collect();
    pairs.extend([("NO_PROXY", ""), ("no_proxy", ""), ("SIGILUM_ALLOW_INSECURE_HTTP", "1")]);
    let http = from_env(&pairs);
    let api = Api::start("secret");
    for host in ["127.0.0.1", "localhost", "127.0.0.1"] {
        let answer = get(
            &http,
            &format!("http://{host}:{}/health", api.port()),
            Duration::from_secs(5),
        );
        assert_eq!(answer.unwrap().status, 200, "{host}");
    }
    // Nothing speaks TLS there: these fail, but not through the proxy.
    for host in ["127.0.0.1", "localhost"] {
        assert!(
            get(
                &http,
                &format!("https://{host}:{}/", api.port()),
                Duration::from_secs(5)
            )
            .is_err()
        );
    }
    // Plain http to what the rules count as elsewhere, allowed by the switch: straight there.
    let answer = get(
        &http,
        &format!("http://0.0.0.0:{}/health", api.port()),
        Duration::from_secs(5),
    );
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(heads.try_recv().ok(), None, "the proxy was asked");
}

#[test]
fn https_goes_through_a_proxy_by_connect_and_shows_it_no_token() {
    for (name, value) in [
        ("HTTPS_PROXY", "http://127.0.0.1"),
        ("https_proxy", "http://127.0.0.1"),
        ("ALL_PROXY", "http://127.0.0.1"),
        ("all_proxy", "127.0.0.1"),
    ] {
        let (port, heads) = recorder("HTTP/1.1 403 Forbidden\r\n\r\n");
        let http = from_env(&[(name, &format!("{value}:{port}"))]);
        let result = get(&http, "https://api.test.invalid/v1", Duration::from_secs(5));
        assert_eq!(result.unwrap_err(), HttpError::Proxy, "{name}");
        let head = heads.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(
            head.starts_with("CONNECT api.test.invalid:443 HTTP/1.1\r\n"),
            "{name}: {head}"
        );
        assert!(!head.contains(TOKEN), "{name}: {head}");
    }
}

#[test]
fn no_proxy_names_are_left_out_and_bad_proxies_are_refused() {
    let (port, heads) = recorder("HTTP/1.1 403 Forbidden\r\n\r\n");
    let proxy = format!("http://127.0.0.1:{port}");
    let (target, hellos) = recorder("no TLS");
    let url = format!("https://0.0.0.0:{target}/v1");
    let http = from_env(&[("HTTPS_PROXY", &proxy), ("NO_PROXY", "other.example, 0.0.0.0")]);
    assert!(get(&http, &url, Duration::from_secs(5)).is_err());
    assert!(!hellos.recv_timeout(Duration::from_secs(5)).unwrap().contains(TOKEN));
    assert_eq!(heads.try_recv().ok(), None, "the proxy was asked");
    let http = from_env(&[("HTTPS_PROXY", &proxy), ("NO_PROXY", "other.example")]);
    assert_eq!(get(&http, &url, Duration::from_secs(5)).unwrap_err(), HttpError::Proxy);
    assert!(
        heads
            .recv_timeout(Duration::from_secs(5))
            .unwrap()
            .starts_with("CONNECT 0.0.0.0:")
    );
    for bad in ["socks5://127.0.0.1:1080", "ftp://127.0.0.1", "://", "http://"] {
        let http = from_env(&[("HTTPS_PROXY", bad)]);
        let result = get(&http, "https://api.test.invalid/v1", Duration::from_secs(5));
        assert_eq!(result.unwrap_err(), HttpError::BadProxy, "{bad}");
    }
}

#[test]
fn why_there_is_no_answer() {
    let http = from_env(&[]);
    let silent = env::SilentPort::at(0);
    let free = silent.number;
    let refused = get(&http, &format!("http://127.0.0.1:{free}/"), Duration::from_secs(5)).unwrap_err();
    assert_eq!(refused, HttpError::Refused);
    let refused = get(&http, &format!("http://localhost:{free}/"), Duration::from_secs(5)).unwrap_err();
    assert_eq!(refused, HttpError::Refused);
    let api = Api::start("secret");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let cases = [
        (Fault::Drop, HttpError::BrokenOff),
        (Fault::Raw(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), HttpError::NotHttp),
        (Fault::Raw(b"HTTP/1.1 abc\r\n\r\n".to_vec()), HttpError::NotHttp),
        (
            Fault::Raw(format!("{head}Content-Length: 500\r\n\r\n{{}}").into()),
            HttpError::BrokenOff,
        ),
        (
            Fault::Raw(format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}").into()),
            HttpError::NotHttp,
        ),
        (
            Fault::Raw(format!("{head}Content-Length: -1\r\n\r\n{{}}").into()),
            HttpError::NotHttp,
        ),
        (
            Fault::Raw(format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into()),
            HttpError::BrokenOff,
        ),
        (
            Fault::Raw(format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n").into()),
            HttpError::BrokenOff,
        ),
        (Fault::Raw(format!("{head}{many}\r\n{{}}").into()), HttpError::NotHttp),
        (
            Fault::Raw(format!("{head}X: {}\r\n\r\n{{}}", "y".repeat(2 << 20)).into()),
            HttpError::NotHttp,
        ),
        (Fault::Endless, HttpError::TooLong(1 << 20)),
        (Fault::TenGigabytes, HttpError::TooLong(1 << 20)),
        (Fault::Stall, HttpError::Timeout),
        (Fault::Drip, HttpError::Timeout),
    ];
    for (fault, error) in cases {
        let budget = match error {
            HttpError::Timeout => Duration::from_millis(400),
            _ => Duration::from_secs(10),
        };
        api.fault(fault.clone());
        let start = Instant::now();
        let result = get(&http, &format!("{}/v1", api.url()), budget);
        assert_eq!(result.unwrap_err(), error, "{:.100}", format!("{fault:?}"));
        assert!(
            start.elapsed() < budget + Duration::from_secs(1),
            "{:.100}",
            format!("{fault:?}")
        );
    }
}

#[test]
fn a_connection_is_kept_only_for_who_asks_often() {
    let api = Api::start("secret");
    for (http, connections) in [(kept(), 1), (from_env(&[]), 3)] {
        let before = api.connections();
        for _ in 0..3 {
            assert_eq!(get(&http, &api.url(), Duration::from_secs(5)).unwrap().status, 404);
        }
        assert_eq!(api.connections() - before, connections);
    }
}

#[test]
fn a_kept_connection_that_the_server_closed_costs_no_question() {
    // The second case: it is still open when the next request is sent, and closed in place of an answer.
    for reads_the_next in [false, true] {
        let (port, heads) = closing(reads_the_next);
        let http = kept();
        for round in 0..20 {
            let answer = get(&http, &format!("http://127.0.0.1:{port}"), Duration::from_secs(5));
            assert_eq!(answer.unwrap().body, b"ok", "round {round}");
            assert!(heads.recv().unwrap().starts_with("GET / HTTP/1.1"));
        }
    }
    // What changes something is sent once, and what became of it is not known.
    let (port, heads) = closing(true);
    let http = kept();
    let url = check_url(&format!("http://127.0.0.1:{port}"), false).unwrap();
    let post = || http.send(&Request::new(Method::POST, url.clone(), Duration::from_secs(5)));
    assert_eq!(post().unwrap().body, b"ok");
    assert_eq!(post().unwrap_err(), HttpError::BrokenOff);
    assert_eq!(heads.try_iter().count(), 1);
}

/// A server that answers one request of each connection, and says nothing of closing it then, or when it has read
/// another one. Tells the heads of what it answered.
fn closing(reads_the_next: bool) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut bytes = [0; 4096];
            let count = connection.read(&mut bytes).unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if reads_the_next {
                let _ = connection.read(&mut bytes);
            }
        }
    });
    (port, receiver)
}

fn kept() -> Http {
    let mut options = from_env(&[]).options().clone();
    options.keeps_connection = true;
    Http::new(options)
}

#[test]
fn a_smaller_cap_holds() {
    let api = Api::start("secret");
    let url = check_url(&api.url(), false).unwrap();
    let ask = |cap| {
        let request = Request::new(Method::GET, url.clone(), Duration::from_secs(5)).cap(cap);
        from_env(&[]).send(&request)
    };
    api.fault(Fault::Body("text/plain", "x".repeat(100)));
    assert_eq!(ask(100).unwrap().body.len(), 100);
    assert_eq!(ask(99).unwrap_err(), HttpError::TooLong(99));
}

#[test]
fn a_redirect_is_not_followed() {
    let (port, heads) = recorder("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let api = Api::start("secret");
    for to in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        "/v1/other".to_owned(),
    ] {
        api.fault(Fault::Redirect(to));
        let answer = get(&from_env(&[]), &format!("{}/v1", api.url()), Duration::from_secs(5)).unwrap();
        assert_eq!(answer.status, 302);
    }
    assert_eq!(heads.try_recv().ok(), None, "the redirect was followed");
    assert_eq!(api.seen().len(), 3);
}

#[test]
fn nothing_is_sent_where_the_rules_forbid_it() {
    let (port, heads) = recorder("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let http = from_env(&[]);
    let url = check_url(&format!("http://user:pw@127.0.0.1:{port}"), false);
    assert!(url.is_err());
    // The client looks again, whoever made the URL.
    for url in [
        format!("http://user:pw@127.0.0.1:{port}/"),
        format!("http://192.0.2.1:{port}/"),
    ] {
        let request = Request::new(Method::GET, url.parse().unwrap(), Duration::from_secs(5));
        assert!(matches!(http.send(&request).unwrap_err(), HttpError::Url(_)), "{url}");
    }
    let url = check_url(&format!("http://127.0.0.1:{port}"), false).unwrap();
    let token = SecretString::from("two\r\nlines: of a token");
    let request = Request::new(Method::GET, url, Duration::from_secs(5)).bearer(&token);
    assert_eq!(http.send(&request).unwrap_err(), HttpError::BadHeader);
    assert_eq!(heads.try_recv().ok(), None);
}

/// A TLS server with the fixtures' certificate; says what request arrived, or that the handshake failed.
fn tls_server() -> (u16, Receiver<Option<String>>) {
    let config = env::tls::config(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut connection: TcpStream = connection.unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut connection);
            let mut bytes = [0; 4096];
            let seen = stream
                .read(&mut bytes)
                .ok()
                .map(|count| String::from_utf8_lossy(&bytes[..count]).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            if sender.send(seen).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

#[test]
fn a_certificate_of_an_unknown_issuer_gets_no_token() {
    let (port, seen) = tls_server();
    let result = get(
        &from_env(&[]),
        &format!("https://localhost:{port}/"),
        Duration::from_secs(10),
    );
    // A machine without any root certificates fails earlier.
    assert!(
        matches!(
            result,
            Err(HttpError::Tls(TlsReason::UnknownIssuer | TlsReason::NoRoots))
        ),
        "{result:?}"
    );
    assert_eq!(seen.try_recv().ok().flatten(), None);
}

#[test]
fn many_threads_share_one_client() {
    let api = Api::start("secret");
    let http = Arc::new(from_env(&[]));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (http, failures, url) = (http.clone(), failures.clone(), format!("{}/health", api.url()));
            std::thread::spawn(move || {
                for _ in 0..20 {
                    if let Err(error) = get(&http, &url, Duration::from_secs(10)) {
                        failures.lock().unwrap().push(error);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*failures.lock().unwrap(), []);
}

#[test]
fn what_the_api_answers() {
    use sigilum_authz_notify::sigilum::api::{Api as SigilumApi, ApiError};
    use sigilum_authz_notify::sigilum::requests::DecodeError;
    let api = Api::start("secret");
    api.add_claim("alice", serde_json::json!({"service": "payments"}));
    api.add_claim("bob", serde_json::json!({"service": "other"}));
    api.add_claim("alice", serde_json::json!({"service": "mail", "agent_name": "bot"}));
    let http = from_env(&[]);
    let ask = |token: &str| {
        let url = check_url(&format!("{}/", api.url()), false).unwrap();
        let api = SigilumApi {
            http: &http,
            url: &url,
            namespace: "alice",
            trust: LoopbackTrust::default(),
        };
        api.requests(
            &SecretString::from(token),
            &Which::PENDING,
            Instant::now() + Duration::from_secs(5),
        )
    };
    let pending = ask(&api.token("alice", 60)).unwrap();
    assert_eq!(pending.total, Some(2));
    let services: Vec<_> = pending
        .requests
        .iter()
        .map(|request| request.service.as_deref().unwrap())
        .collect();
    assert_eq!(services, ["mail", "payments"]);
    assert_eq!(
        api.seen()[0].line,
        "GET /v1/namespaces/alice/claims?status=pending&limit=200"
    );

    assert_eq!(ask(&api.token("alice", -60)), Err(ApiError::Expired));
    assert_eq!(
        ask(&env::api::token("other", serde_json::json!({"namespace": "alice"}))),
        Err(ApiError::Expired)
    );
    assert_eq!(
        ask(&api.token_with(serde_json::json!({"namespace": "alice", "aud": "x"}))),
        Err(ApiError::Expired)
    );
    assert_eq!(ask("rubbish"), Err(ApiError::Expired));
    assert_eq!(ask(&api.token("bob", 60)), Err(ApiError::Forbidden));
    let faults = [
        (Fault::Status(401, "UNAUTHORIZED"), ApiError::Unauthorized),
        (Fault::Status(401, "SIGNATURE_MISSING"), ApiError::Unauthorized),
        (Fault::Status(503, "DB_UNAVAILABLE"), ApiError::Status(503)),
        (Fault::Status(400, "VALIDATION_ERROR"), ApiError::Status(400)),
        (Fault::Status(403, "FORBIDDEN"), ApiError::Forbidden),
        // Of a server that is no Sigilum API.
        (Fault::Status(403, "NO_ENTRY"), ApiError::Status(403)),
        (
            Fault::Raw(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nForbidden".to_vec()),
            ApiError::Status(403),
        ),
        (Fault::Redirect("https://evil.example/".into()), ApiError::Status(302)),
        (
            Fault::Body("text/html", "<h1>Hello</h1>".into()),
            ApiError::Decode(DecodeError::NotJson),
        ),
        (
            Fault::Body("application/json", "{}".into()),
            ApiError::Decode(DecodeError::NoRequests),
        ),
        // A list is no answer, however deep; and a depth that never ends is no JSON.
        (
            Fault::Body("application/json", "[".repeat(1 << 20)),
            ApiError::Decode(DecodeError::NoRequests),
        ),
        (
            Fault::Body("application/json", format!("{{\"deep\":{}", "[".repeat((1 << 20) - 8))),
            ApiError::Decode(DecodeError::NotJson),
        ),
        (
            Fault::Raw(b"HTTP/1.1 401 X\r\nContent-Length: 1\r\n\r\n{".to_vec()),
            ApiError::Unauthorized,
        ),
    ];
    for (fault, error) in faults {
        api.fault(fault.clone());
        assert_eq!(ask(&api.token("alice", 60)), Err(error), "{:.80}", format!("{fault:?}"));
    }
}
