//! Proxies in the environment: asked for nothing that stays on this machine, and hostile where they are the way out.

use super::api::Person;
use super::{Case, PATIENCE, Trial, attacks, differences, take};
use crate::env::attack::{Attack, Peer, Then};
use crate::env::services::{Desk, SECRET};
use std::time::Duration;

const NAMES: [&str; 9] = [
    "http_proxy",
    "HTTP_PROXY",
    "Http_Proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "ftp_proxy",
    "CGI_HTTP_PROXY",
];
const SHORT: Duration = Duration::from_millis(1500);
/// Connecting to the Sigilum gateway, the way through a proxy included; and a list.
const CONNECT: Duration = Duration::from_secs(5);

pub fn cases(elsewhere: u16) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in NAMES {
        for form in [
            "http://{}",
            "{}",
            "https://{}",
            "socks5://{}",
            "socks5h://{}",
            "http://user:pw@{}/",
            "HTTP://{}",
            "http://{}?x#y",
        ] {
            cases.push(Case {
                name: format!("{name}={form}"),
                slow: false,
                play: Box::new(move |trial| stays_home(trial, name, form)),
            });
        }
    }
    for (name, play) in [
        ("hook run", hook_run as fn(&Trial<'_>, &Attack)),
        ("service list", service_list),
        ("service add", service_add),
    ] {
        let mut all = attacks::wire();
        all.extend(attacks::elsewhere(elsewhere));
        all.extend(tunnels());
        for attack in all {
            cases.push(Case {
                name: format!("{name} through a proxy: {}", attack.name),
                slow: attack.is_slow(),
                play: Box::new(move |trial| play(trial, &attack)),
            });
        }
    }
    cases
}

/// What a proxy can do once it has said yes.
fn tunnels() -> Vec<Attack> {
    let yes = "HTTP/1.1 200 Connection established\r\n\r\n";
    let again = |unit: &[u8]| Then::Repeat(unit.to_vec(), Duration::ZERO);
    vec![
        Attack::new("a tunnel to nobody", yes, Then::Stall),
        Attack::new(
            "a tunnel to plain http",
            format!("{yes}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{{}}"),
            Then::Close,
        ),
        Attack::new(
            "a tunnel to a TLS alert",
            [yes.as_bytes(), b"\x15\x03\x03\x00\x02\x02\x28"].concat(),
            Then::Close,
        ),
        Attack::new(
            "a tunnel to TLS records without end",
            [yes.as_bytes(), b""].concat(),
            again(&[&b"\x16\x03\x03\x40\x00"[..], &[0; 0x4000]].concat()),
        ),
        Attack::new(
            "a tunnel to empty TLS records without end",
            yes,
            again(b"\x16\x03\x03\x00\x00"),
        ),
        Attack::new(
            "a tunnel to a TLS handshake that never fits",
            [yes.as_bytes(), b"\x16\x03\x03\x40\x00\x02\xff\xff\xff", &[0; 0x3ffc]].concat(),
            again(&[&b"\x16\x03\x03\x40\x00"[..], &[0; 0x4000]].concat()),
        ),
        Attack::new(
            "asks for a password again and again",
            "",
            again(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"),
        ),
        Attack::new(
            "refuses with 10 GB",
            "HTTP/1.1 403 No\r\nContent-Length: 10737418240\r\n\r\n",
            again(&[b' '; 0x4000]),
        ),
    ]
}

fn roots() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls/ca.pem")
}

/// Where API and gateway are on this machine, the proxy hears nothing.
fn stays_home(trial: &Trial<'_>, name: &str, form: &str) {
    let proxy = super::nowhere();
    let value = form.replace("{}", &format!("127.0.0.1:{}", proxy.port()));
    let person = Person::new();
    let secrets = [person.token.as_str(), SECRET];
    let run = person
        .by_hand(PATIENCE)
        .env(name, &value)
        .env("no_proxy", "")
        .env("NO_PROXY", "");
    let ended = trial.run(run, b"", PATIENCE, &secrets);
    if !ended.stdout.contains("1 request waits") {
        trial.fault(format!("exit code {}: {}", ended.code, ended.stderr));
    }
    let desk = Desk::new();
    for run in [desk.add_linear([]), desk.run(["service", "list"])] {
        let ended = trial.run(run.env(name, &value), b"", PATIENCE, &secrets);
        if ended.code != 0 || ended.stderr.contains("unknown") {
            trial.fault(format!("exit code {}: {}", ended.code, ended.stderr));
        }
    }
    if !proxy.arrived().is_empty() {
        trial.fault(format!("the proxy was asked: {:?}", proxy.arrived()));
    }
}

/// It was asked for a tunnel, and for nothing else.
fn only_connect(trial: &Trial<'_>, proxy: &Peer, host: &str, secrets: &[&str]) {
    let arrived = proxy.arrived();
    if arrived.is_empty() {
        trial.fault("the proxy was not asked");
    }
    for head in &arrived {
        let strange = !head.starts_with(&format!("CONNECT {host}:443 HTTP/1.1\r\n"));
        if strange
            || secrets.iter().any(|secret| head.contains(secret))
            || head.to_lowercase().contains("authorization")
        {
            trial.fault(format!("the proxy heard: {head}"));
        }
    }
    trial.attacked(|| (arrived.len() as u32, proxy.sent()), 1 << 20);
}

fn hook_run(trial: &Trial<'_>, attack: &Attack) {
    const HOST: &str = "api.sigilum.test";
    let person = Person::new();
    let proxy = Peer::start(attack.clone());
    person.record("managed", &format!("https://{HOST}"));
    let before = take(person.env.home());
    let budget = if attack.is_slow() { SHORT } else { PATIENCE };
    let run = person
        .by_hand(budget)
        .env("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port()))
        .env("SSL_CERT_FILE", roots());
    let ended = trial.run(run, b"", budget, &[&person.token]);
    let told = ended.stdout.starts_with("Sigilum could not be asked: ") && ended.stdout.lines().count() == 1;
    if ended.code != 0 || ended.stderr.lines().count() != 1 || !told {
        trial.fault(format!("exit code {}: {}{}", ended.code, ended.stdout, ended.stderr));
    }
    only_connect(trial, &proxy, HOST, &[&person.token]);
    let differ = differences(&take(person.env.home()), &before);
    if !differ.is_empty() {
        trial.fault(format!("changed: {}", differ.join(", ")));
    }
    person.record("oss-local", &person.api.url());
    let ended = trial.run(person.by_hand(PATIENCE), b"", PATIENCE, &[&person.token]);
    if !ended.stdout.contains("1 request waits") {
        trial.fault(format!("it does not come back: {}", ended.stderr));
    }
}

fn service_list(trial: &Trial<'_>, attack: &Attack) {
    service(trial, attack, |desk| desk.run(["service", "list"]), 0);
}

fn service_add(trial: &Trial<'_>, attack: &Attack) {
    service(trial, attack, |desk| desk.add_linear([]), 6);
}

fn service(trial: &Trial<'_>, attack: &Attack, run: fn(&Desk) -> crate::env::Run, code: i32) {
    const HOST: &str = "gateway.sigilum.test";
    const ADMIN: &str = "an-admin-token-of-the-gateway-1234567890";
    let secrets = [ADMIN, SECRET];
    let desk = Desk::new();
    if code == 0 {
        desk.add_linear([]).expect(0);
    }
    let proxy = Peer::start(attack.clone());
    let before = take(desk.env.home());
    let hostile = run(&desk)
        .env("GATEWAY_ADMIN_URL", format!("https://{HOST}"))
        .env("GATEWAY_ADMIN_TOKEN", ADMIN)
        .env("HTTPS_PROXY", "")
        .env("all_proxy", format!("127.0.0.1:{}", proxy.port()))
        .env("SSL_CERT_FILE", roots());
    let ended = trial.run(hostile, b"", CONNECT, &secrets);
    // A list says nothing where our own rows know every service.
    if ended.code != code || (code != 0 && !ended.stderr.contains("not reachable")) {
        trial.fault(format!("exit code {}: {}{}", ended.code, ended.stdout, ended.stderr));
    }
    only_connect(trial, &proxy, HOST, &secrets);
    let differ = differences(&take(desk.env.home()), &before);
    if !differ.is_empty() {
        trial.fault(format!("changed: {}", differ.join(", ")));
    }
    let ended = trial.run(run(&desk), b"", CONNECT, &secrets);
    if ended.code != 0 {
        trial.fault(format!("it does not come back: {}", ended.stderr));
    }
}
