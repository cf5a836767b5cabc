//! What an operator reads. Pure: no clock, no network.
//!
//! Every field of a request was chosen by a stranger: it is [`clean`], at most 40 characters long, and stands in quotes
//! after a fixed label, so that it can neither end its quotes nor pass for our own words.

use crate::hook::clean::clean;
use crate::request::{AuthorizationRequest, Pending};
use std::fmt::Write;

/// The longest notice, in characters.
pub const MAX: usize = 1200;
/// The longest field, in characters.
pub const FIELD_MAX: usize = 40;
/// How many requests a notice describes.
pub const SHOWN: usize = 5;
/// Where requests are reviewed, unless `SIGILUM_DASHBOARD_URL` says otherwise.
pub const DASHBOARD: &str = "https://sigilum.id";

/// How much a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything.
    Full,
    /// One line with the number.
    Brief,
}

/// The notice of what waits for approval; `None` where nothing does. `now` is in Unix seconds; `dashboard` comes from
/// [`dashboard`].
pub fn pending(pending: &Pending, namespace: &str, dashboard: &str, now: i64, form: Form) -> Option<String> {
    let (count, all) = pending.count();
    if count == 0 {
        return None;
    }
    let at_least = if all { "" } else { "at least " };
    let wait = if count == 1 { "request waits" } else { "requests wait" };
    if form == Form::Brief {
        return Some(format!(
            "Sigilum: {at_least}{count} {wait} for approval. Review: {dashboard}"
        ));
    }
    let head = format!("Sigilum: {at_least}{count} {wait} for your approval in namespace {namespace}.");
    let newest = newest(&pending.requests);
    let more = match count - newest.len() as u64 {
        0 => String::new(),
        more => format!("\nAnd {more} more."),
    };
    let tail = format!(
        "{more}\nReview: {dashboard}\nTo approve: sign in there, compare service and key with what you expect, and \
         approve; reject what you do not know."
    );
    // Five requests with every field at its longest do not fit: then all fields get shorter.
    [FIELD_MAX, 32, 26, 20, 14, 8].into_iter().find_map(|field_max| {
        let mut text = head.clone();
        for (index, request) in newest.iter().enumerate() {
            let _ = write!(text, "\n{}) {}", index + 1, line(request, now, field_max));
        }
        text.push_str(&tail);
        (text.chars().count() <= MAX).then_some(text)
    })
}

/// What the operator must know when the answer was too long to be read. It may be long because of a stranger's request,
/// made so that the others are not seen.
pub fn too_long(namespace: &str, dashboard: &str, form: Form) -> String {
    let what = "the list of requests is too long to be read";
    match form {
        Form::Full => format!(
            "Sigilum: {what} for namespace {namespace}; a request that is made so long may be there to hide others. \
             Review: {dashboard}"
        ),
        Form::Brief => format!("Sigilum: {what}. Review: {dashboard}"),
    }
}

/// What the operator must know or do, when requests could not be looked up: `what` ends without a full stop, `command`
/// mends it. Our own words only. The brief form leaves the command out.
pub fn problem(what: &str, command: &str, form: Form) -> String {
    match form {
        Form::Full => format!("Sigilum: {what}. Requests that wait for approval cannot be shown. Run: {command}"),
        Form::Brief => format!("Sigilum: {what}. The operator must act."),
    }
}

/// The dashboard's URL as a notice shows it: the given one if it is a plain web address of at most 120 letters, digits
/// and `._:/~-`, else [`DASHBOARD`].
pub fn dashboard(given: Option<&str>) -> String {
    let fine = |url: &&str| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
            && url.len() <= 120
            && url
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._:/~-[]".contains(&b))
    };
    given.filter(fine).unwrap_or(DASHBOARD).trim_end_matches('/').to_owned()
}

/// The newest requests first; those without a readable time last, in the order in which they came.
fn newest(requests: &[AuthorizationRequest]) -> Vec<&AuthorizationRequest> {
    let mut requests: Vec<&AuthorizationRequest> = requests.iter().collect();
    requests.sort_by_key(|request| std::cmp::Reverse(created(request)));
    requests.truncate(SHOWN);
    requests
}

/// `service "mail", agent "bot", key "AbCdEfGh..uvwxyz12", ip "10.0.0.7", 3 min ago`
fn line(request: &AuthorizationRequest, now: i64, field_max: usize) -> String {
    let agent = request.agent_name.as_deref().filter(|name| !name.trim().is_empty());
    let key = request.public_key.as_deref().map(short_key);
    let fields = [
        ("service", request.service.as_deref()),
        ("agent", agent.or(request.agent_id.as_deref())),
        ("subject", request.subject.as_deref()),
        ("key", key.as_deref()),
        ("ip", request.agent_ip.as_deref()),
    ];
    let mut parts: Vec<String> = fields
        .into_iter()
        .filter_map(|(label, value)| Some(format!("{label} \"{}\"", clean(value?, field_max))))
        .collect();
    parts.extend(created(request).map(|time| age(now.saturating_sub(time))));
    if parts.is_empty() {
        parts.push("a request without any details".to_owned());
    }
    parts.join(", ")
}

/// When a request was made, in Unix seconds.
fn created(request: &AuthorizationRequest) -> Option<i64> {
    let text = request.created_at.as_deref().filter(|text| text.len() <= 40)?;
    Some(text.parse::<jiff::Timestamp>().ok()?.as_second())
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A key's two ends: all keys of one kind begin alike, so the beginning alone would tell nothing.
fn short_key(key: &str) -> String {
    let bare = key.split_once(':').map_or(key, |(_, bare)| bare).trim_end_matches('=');
    let ends: Vec<char> = bare.chars().take(SCANNED).collect();
    if ends.len() <= 18 {
        return ends.into_iter().collect();
    }
    let first: String = ends.iter().take(8).collect();
    let last: Vec<char> = bare.chars().rev().take(8).collect();
    format!("{first}..{}", last.iter().rev().collect::<String>())
}

/// No field is looked at beyond this many characters.
const SCANNED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::clean::tests::{is_clean, nasty};
    use proptest::prelude::*;

    fn request(service: &str) -> AuthorizationRequest {
        AuthorizationRequest {
            service: Some(service.into()),
            public_key: Some("ed25519:MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=".into()),
            agent_ip: Some("10.0.0.7".into()),
            created_at: Some("2026-11-22T06:20:37.017Z".into()),
            ..AuthorizationRequest::default()
        }
    }

    /// Unix seconds of 2026-11-22T06:23:40Z, three minutes after [`request`].
    const NOW: i64 = 1_795_328_620;

    #[test]
    fn one_request() {
        let only = Pending {
            requests: vec![AuthorizationRequest {
                agent_name: Some("billing-bot".into()),
                subject: Some("alice@example.com".into()),
                ..request("payments")
            }],
            total: Some(1),
        };
        assert_eq!(
            pending(&only, "alice", DASHBOARD, NOW, Form::Full).unwrap(),
            "Sigilum: 1 request waits for your approval in namespace alice.\n\
             1) service \"payments\", agent \"billing-bot\", subject \"alice@example.com\", key \"MCowBQYD..4rXAxZuE\", \
             ip \"10.0.0.7\", 3 min ago\n\
             Review: https://sigilum.id\n\
             To approve: sign in there, compare service and key with what you expect, and approve; reject what you do \
             not know."
        );
        assert_eq!(
            pending(&only, "alice", DASHBOARD, NOW, Form::Brief).unwrap(),
            "Sigilum: 1 request waits for approval. Review: https://sigilum.id"
        );
    }

    #[test]
    fn the_five_newest_of_many() {
        let mut requests: Vec<AuthorizationRequest> = (1..=7)
            .map(|day| AuthorizationRequest {
                created_at: Some(format!("2026-11-0{day}T00:00:00.000Z")),
                ..request(&format!("s{day}"))
            })
            .collect();
        requests.push(AuthorizationRequest {
            created_at: None,
            ..request("undated")
        });
        let many = Pending {
            requests,
            total: Some(23),
        };
        let text = pending(&many, "alice", DASHBOARD, NOW, Form::Full).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "Sigilum: 23 requests wait for your approval in namespace alice."
        );
        for (line, service) in lines[1..6].iter().zip(["s7", "s6", "s5", "s4", "s3"]) {
            assert!(line.contains(&format!("service \"{service}\"")), "{line}");
        }
        assert_eq!(lines[6], "And 18 more.");
        assert!(lines[1].ends_with("15 d ago"), "{}", lines[1]);
    }

    #[test]
    fn numbers_and_missing_fields() {
        let nothing = Pending::default();
        assert_eq!(pending(&nothing, "alice", DASHBOARD, NOW, Form::Full), None);
        let uncounted = Pending {
            requests: vec![AuthorizationRequest::default(); 20],
            total: None,
        };
        let text = pending(&uncounted, "alice", DASHBOARD, NOW, Form::Full).unwrap();
        assert!(
            text.starts_with("Sigilum: at least 20 requests wait for your approval"),
            "{text}"
        );
        assert!(text.contains("\n1) a request without any details\n"), "{text}");
        assert!(text.contains("\nAnd 15 more."), "{text}");
        // A total without a single request: the number is all there is to say.
        let bare = Pending {
            requests: Vec::new(),
            total: Some(u64::MAX),
        };
        let text = pending(&bare, "alice", DASHBOARD, NOW, Form::Full).unwrap();
        assert!(
            text.starts_with("Sigilum: 18446744073709551615 requests wait"),
            "{text}"
        );
    }

    #[test]
    fn where_requests_are_reviewed() {
        let cases = [
            (None, DASHBOARD),
            (Some("https://sigilum.example/team/"), "https://sigilum.example/team"),
            (Some("http://localhost:3000"), "http://localhost:3000"),
            (Some("javascript:alert(1)"), DASHBOARD),
            (Some("https://user@evil.example"), DASHBOARD),
            (Some("https://x.example/?a=b"), DASHBOARD),
            (Some("https://x.example/a b"), DASHBOARD),
            (Some("https://x.example/\u{202e}"), DASHBOARD),
            (Some("https:///x"), DASHBOARD),
            (Some("not a URL"), DASHBOARD),
        ];
        for (given, shown) in cases {
            assert_eq!(dashboard(given), shown, "{given:?}");
        }
        assert_eq!(
            dashboard(Some(&format!("https://{}.example", "x".repeat(120)))),
            DASHBOARD
        );
    }

    fn any_request() -> impl Strategy<Value = AuthorizationRequest> {
        let field = || proptest::option::of(nasty());
        let time = proptest::option::of(prop_oneof![
            nasty(),
            Just("2026-11-22T06:20:37.017Z".to_owned()),
            Just("-009999-01-01T00:00:00Z".to_owned()),
        ]);
        (field(), field(), field(), field(), field(), field(), time).prop_map(
            |(service, public_key, agent_ip, subject, agent_id, agent_name, created_at)| AuthorizationRequest {
                service,
                public_key,
                agent_ip,
                subject,
                agent_id,
                agent_name,
                created_at,
            },
        )
    }

    proptest! {
        #[test]
        fn a_notice_is_clean_and_short(
            requests in proptest::collection::vec(any_request(), 0..25),
            total in proptest::option::of(any::<u64>()),
            now in any::<i64>(),
        ) {
            let all = Pending { requests, total };
            for form in [Form::Full, Form::Brief] {
                let Some(text) = pending(&all, "alice", &"https://x.example/".repeat(6), now, form) else {
                    prop_assert_eq!(all.count().0, 0);
                    continue;
                };
                prop_assert!(text.chars().count() <= MAX, "{text}");
                prop_assert!(text.lines().count() <= if form == Form::Full { 9 } else { 1 }, "{text}");
                for (at, quoted) in text.split('"').enumerate() {
                    if at % 2 == 1 {
                        prop_assert!(is_clean(quoted) && quoted.chars().count() <= FIELD_MAX, "{quoted:?}");
                    } else {
                        // Between the quotes stand our own words.
                        prop_assert!(quoted.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)), "{quoted:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_longest_notice_still_shows_five() {
        let full = AuthorizationRequest {
            service: Some("s".repeat(99)),
            public_key: Some("k".repeat(99)),
            agent_ip: Some("i".repeat(99)),
            subject: Some("u".repeat(99)),
            agent_name: Some("a".repeat(99)),
            agent_id: None,
            created_at: Some("2020-01-01T00:00:00Z".into()),
        };
        let all = Pending {
            requests: vec![full; 20],
            total: Some(u64::MAX),
        };
        let namespace = "n".repeat(64);
        let url = dashboard(Some(&format!("https://{}", "x".repeat(112))));
        let text = pending(&all, &namespace, &url, NOW, Form::Full).unwrap();
        assert!(text.contains("\n5) service \"ss"), "{text}");
        assert!(text.chars().count() <= MAX);
    }

    #[test]
    fn problems() {
        let command = "sigilum-authz-notify auth login";
        assert_eq!(
            problem("the owner token has expired", command, Form::Full),
            "Sigilum: the owner token has expired. Requests that wait for approval cannot be shown. \
             Run: sigilum-authz-notify auth login"
        );
        assert_eq!(
            problem("the owner token has expired", command, Form::Brief),
            "Sigilum: the owner token has expired. The operator must act."
        );
    }
}
