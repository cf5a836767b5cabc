//! What an operator reads. Pure: no clock, no network.
//!
//! Every field of a request was chosen by a stranger: it is [`mod@clean`], at most 40 characters long, and stands in quotes
//! after a fixed label, so that it can neither end its quotes nor pass for our own words.

use crate::hook::clean::{self, clean};
use crate::hook::seen::Listed;
use crate::mode::Mode;
use crate::request::AuthorizationRequest;
use crate::time;
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

/// Where requests are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// In a dashboard, at this URL.
    Dashboard(String),
    /// In a terminal: a local Sigilum has no dashboard.
    Terminal,
    /// The same after this command: nobody is logged in.
    AfterLogin(String),
    /// In this very chat, by command.
    Chat,
}

/// What a notice says besides the requests.
#[derive(Debug)]
pub struct About<'a> {
    /// Whose requests they are.
    pub namespace: &'a str,
    /// Where they are answered.
    pub review: &'a Review,
    /// How a command of ours begins.
    pub program: &'a str,
    /// What a command is given to act on this home, with a blank before it; nothing where a group reads it.
    pub flags: &'a str,
    /// What time it is, in Unix seconds.
    pub now: i64,
}

impl About<'_> {
    fn command(&self, words: &str) -> String {
        format!("{} {words}{}", self.program, self.flags)
    }

    fn advice(&self) -> String {
        match self.review {
            Review::Dashboard(url) => format!(
                "Review: {url}\nTo approve: sign in there, compare service and key with what you expect, and approve; \
                 reject what you do not know."
            ),
            Review::Terminal => self.in_a_terminal(""),
            Review::AfterLogin(log_in) => self.in_a_terminal(&format!("{log_in} && ")),
            Review::Chat => {
                "To approve: compare service and key with what you expect, then type here: /sigilum approve ID; \
                           what you do not know: /sigilum reject ID"
                    .to_owned()
            }
        }
    }

    fn in_a_terminal(&self, before: &str) -> String {
        format!(
            "A local Sigilum has no dashboard. To approve: compare service and key with what you expect, then, in a \
             terminal: {before}{}; reject what you do not know.",
            self.command("authz approve ID")
        )
    }
}

impl Review {
    /// What works for an API of this mode; a `dashboard` that a person named wins if it is a plain web address of at most 120 letters, digits and `._:/~-`.
    pub fn new(mode: Mode, dashboard: Option<&str>) -> Self {
        match (shown(dashboard), mode) {
            (Some(url), _) => Self::Dashboard(url.to_owned()),
            (None, Mode::Managed) => Self::Dashboard(DASHBOARD.to_owned()),
            (None, Mode::OssLocal) => Self::Terminal,
        }
    }

    /// ` Review: https://sigilum.id`, where that is a link that works.
    fn link(&self) -> String {
        match self {
            Self::Dashboard(url) => format!(" Review: {url}"),
            Self::Terminal | Self::AfterLogin(_) | Self::Chat => String::new(),
        }
    }

    /// Whether an answer names the request's id.
    fn takes_ids(&self) -> bool {
        !matches!(self, Self::Dashboard(_))
    }
}

/// Where a link of a notice may lead: what a person recorded, where that may be shown.
pub fn dashboard(recorded: Option<&str>) -> &str {
    shown(recorded).unwrap_or(DASHBOARD)
}

/// As a notice shows it.
fn shown(url: Option<&str>) -> Option<&str> {
    url.filter(|url| is_plain_url(url)).map(|url| url.trim_end_matches('/'))
}

/// Whether a notice can show it: see [`Review::new`].
pub fn is_plain_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
        && url.len() <= 120
        && url
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:/~-[]".contains(&b))
}

/// A notice, and how many of the listed requests it describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The message.
    pub text: String,
    /// How many requests it describes: the first of the list.
    pub described: usize,
}

/// The notice of what waits for approval, `listed` in this order; `None` where nothing does. `count` is how many there are
/// in all, and whether that is known ([`crate::request::Pending::count`]).
pub fn pending((count, all): (u64, bool), listed: &[Listed], about: &About, form: Form) -> Option<Notice> {
    if count == 0 {
        return None;
    }
    let at_least = if all { "" } else { "at least " };
    let wait = if count == 1 { "request waits" } else { "requests wait" };
    let brief = || Notice {
        text: format!("Sigilum: {at_least}{count} {wait} for approval.{}", about.review.link()),
        described: 0,
    };
    if form == Form::Brief {
        return Some(brief());
    }
    let head = format!(
        "Sigilum: {at_least}{count} {wait} for your approval in namespace {}.",
        about.namespace
    );
    let id = |listed: &Listed<'_>| {
        listed
            .request
            .id()
            .filter(|_| about.review.takes_ids())
            .map(str::to_owned)
    };
    let most = listed.len().min(SHOWN);
    // Five requests with every field at its longest do not fit: then all fields get shorter, and then there are fewer.
    let tries = [FIELD_MAX, 32, 26, 20, 14, 8].map(|field_max| (most, field_max));
    let fewer = (0..most).rev().map(|described| (described, 8));
    let fitting = tries.into_iter().chain(fewer).find_map(|(described, field_max)| {
        let mut text = head.clone();
        for (index, listed) in listed[..described].iter().enumerate() {
            let _ = write!(
                text,
                "\n{}) {}",
                index + 1,
                details(listed, id(listed).as_deref(), about.now, field_max)
            );
        }
        match count.saturating_sub(described as u64) {
            0 => {}
            _ if listed.is_empty() => text += "\nNone of them could be read here.",
            more if described == 0 => drop(write!(text, "\n{more} without room for details here.")),
            more => {
                let unread = count.saturating_sub(listed.len() as u64);
                let which = match unread {
                    0 => String::new(),
                    _ if unread == more => ", which could not be read here".to_owned(),
                    _ => format!(", {unread} of which could not be read here"),
                };
                let _ = write!(text, "\nAnd {more} more{which}.");
            }
        }
        let _ = write!(text, "\n{}", about.advice());
        (text.chars().count() <= MAX).then_some(Notice { text, described })
    });
    Some(fitting.unwrap_or_else(brief))
}

/// What became of requests since the owner last looked, each with its status, service and key: those that were not
/// answered here. `None` where there are none.
pub fn since(became: &[(&str, Option<&str>, Option<&str>)], about: &About) -> Option<String> {
    let line = |(status, service, key): &(&str, Option<&str>, Option<&str>)| {
        let what = match *status {
            "expired" => "ran out".to_owned(),
            status => format!("{} elsewhere", clean(status, FIELD_MAX)),
        };
        let service = service.map_or_else(|| "?".to_owned(), |text| clean(text, FIELD_MAX));
        let key = key.map_or_else(|| "?".to_owned(), clean::key);
        format!("\n{what}: service \"{service}\", key \"{key}\"")
    };
    let more = became.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| {
        format!(
            "\nAnd {more} more; in a terminal: {}",
            about.command("authz list --status all")
        )
    });
    let lines = became.iter().rev().take(SHOWN).map(line).chain(more);
    (!became.is_empty()).then(|| format!("Sigilum: since you last looked:{}", lines.collect::<String>()))
}

/// What the operator must know of so many requests that are too long to be read, or of a list of which nothing could be
/// read (`None`). It may be a stranger's, made so that the others are not seen.
pub fn too_long(count: Option<u64>, about: &About, form: Form) -> String {
    let what = match count {
        None => "the list of requests is too long to be read".to_owned(),
        Some(1) => "1 request is too long to be read".to_owned(),
        Some(count) => format!("{count} requests are too long to be read"),
    };
    let link = about.review.link();
    if form == Form::Brief {
        return format!("Sigilum: {what}.{link}");
    }
    let step = match (&count, about.review.takes_ids()) {
        (None, true) => format!(
            " To see those for one service, in a terminal: {}",
            about.command("authz list --service <service>")
        ),
        _ => link,
    };
    format!(
        "Sigilum: {what} for namespace {}; a request that is made so long may be there to hide others. It runs out \
         within 24 h, unless it is answered.{step}",
        about.namespace
    )
}

/// What the operator must know or do, when requests could not be looked up: `what` ends without a full stop, `command`
/// mends it. Our own words only. The brief form leaves the command out.
pub fn problem(what: &str, command: &str, form: Form) -> String {
    match form {
        Form::Full => format!("Sigilum: {what}. Requests that wait for approval cannot be shown. Run: {command}"),
        Form::Brief => format!("Sigilum: {what}. The operator must act."),
    }
}

/// What the owner must do before the token ends, since nothing renews it. Our own words only, for the owner alone.
pub fn near_end(namespace: &str, when: &str, command: &str) -> String {
    format!(
        "Sigilum: the owner token of namespace {namespace} expires {when}, and nothing renews it. Log in again before \
         then: {command}"
    )
}

/// What the owner must know when Sigilum gave no answer, so that silence means that nothing waits. Our own words only.
pub fn not_asked(why: &str) -> String {
    format!("Sigilum could not be asked: {why}.")
}

/// What the owner must know of who listens in the API's place, and was sent nothing: `who` does, on this port. For the
/// owner alone.
pub fn listener(who: &str, port: u16, log_in: &str) -> String {
    format!(
        "Sigilum: {who} listens on port {port} in place of the Sigilum API, so the owner token was not sent there. Look \
         at who it is: ss -ltnp; if it is the API all the same: {log_in} --trust-loopback"
    )
}

/// `new: service "mail", agent "bot", key "AbCdEfGh..uvwxyz12", ip "10·0·0·7", 3 min ago`, at a time in Unix seconds.
pub(super) fn line(listed: &Listed, now: i64, field_max: usize) -> String {
    details(listed, None, now, field_max)
}

/// `service "mail"`, `agent "bot"`, `subject "alice"`, `key "AbCdEfGh..uvwxyz12"`, `ip "10·0·0·7"`: those that there are.
pub fn fields(request: &AuthorizationRequest, field_max: usize) -> Vec<String> {
    let plain = |text: Option<&str>| text.map(|text| clean(text, field_max));
    let ip = request.agent_ip.as_deref();
    let fields = [
        ("service", plain(request.service.as_deref())),
        ("agent", plain(request.agent())),
        ("subject", plain(request.subject.as_deref())),
        ("key", request.public_key.as_deref().map(clean::key)),
        ("ip", ip.map(|ip| clean::address(ip, field_max))),
    ];
    let named = |(label, value): (&str, Option<String>)| Some(format!("{label} \"{}\"", value?));
    fields.into_iter().filter_map(named).collect()
}

/// How long a request still waits: so many seconds. What is over ends when the API next looks.
pub fn runs_out(left: i64) -> String {
    match left {
        ..=0 => "runs out within 15 min".to_owned(),
        left => format!("runs out in {}", time::duration(left)),
    }
}

fn details(listed: &Listed, id: Option<&str>, now: i64, field_max: usize) -> String {
    let request = listed.request;
    let mut parts = fields(request, field_max);
    parts.extend(id.map(|id| format!("ID \"{}\"", clean(id, FIELD_MAX))));
    let since_seen = now.saturating_sub(listed.first_seen.div_euclid(1000));
    match request.created().filter(|_| !listed.again) {
        Some(created) => parts.push(age(now.saturating_sub(created))),
        None if listed.again || since_seen >= 60 => parts.push(format!("first seen {}", age(since_seen))),
        None => {}
    }
    if parts.is_empty() {
        parts.push("a request without any details".to_owned());
    }
    let mark = match (listed.shown, listed.again) {
        (true, _) => "",
        (false, false) => "new: ",
        (false, true) => "asked again: ",
    };
    format!("{mark}{}", parts.join(", "))
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        // Nobody knows of an older one; a broken clock or file may say anything.
        _ => format!("{} d ago", (seconds / 86_400).min(99_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::clean::tests::{is_clean, nasty};
    use crate::hook::seen::Seen;
    use crate::request::{AuthorizationRequest, Pending};
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

    /// The notice to whoever reads of all these for the first time.
    fn notice(pending: &Pending, review: &Review, form: Form) -> Option<String> {
        let about = About {
            namespace: "alice",
            review,
            program: "sigilum-authz-notify",
            flags: "",
            now: NOW,
        };
        let listed = Seen::default().list("alice", pending, NOW * 1000);
        super::pending(pending.count(), &listed, &about, form).map(|notice| notice.text)
    }

    fn hosted() -> Review {
        Review::new(Mode::Managed, None)
    }

    #[test]
    fn one_request() {
        let only = Pending {
            requests: vec![AuthorizationRequest {
                agent_name: Some("billing-bot".into()),
                subject: Some("alice@example.com".into()),
                ..request("payments")
            }],
            total: Some(1),
            ..Pending::default()
        };
        assert_eq!(
            notice(&only, &hosted(), Form::Full).unwrap(),
            "Sigilum: 1 request waits for your approval in namespace alice.\n\
             1) new: service \"payments\", agent \"billing-bot\", subject \"alice@example·com\", key \
             \"Gb9ECWmE..4rXAxZuE\", ip \"10·0·0·7\", 3 min ago\n\
             Review: https://sigilum.id\n\
             To approve: sign in there, compare service and key with what you expect, and approve; reject what you do \
             not know."
        );
        assert_eq!(
            notice(&only, &hosted(), Form::Brief).unwrap(),
            "Sigilum: 1 request waits for approval. Review: https://sigilum.id"
        );
        // A local Sigilum has no dashboard.
        let only = Pending {
            requests: vec![AuthorizationRequest {
                claim_id: Some("cl_0123456789abcdef01234567".into()),
                ..request("payments")
            }],
            total: Some(1),
            ..Pending::default()
        };
        let local = Review::new(Mode::OssLocal, None);
        assert_eq!(
            notice(&only, &local, Form::Full).unwrap(),
            "Sigilum: 1 request waits for your approval in namespace alice.\n\
             1) new: service \"payments\", key \"Gb9ECWmE..4rXAxZuE\", ip \"10·0·0·7\", ID \
             \"cl_0123456789abcdef01234567\", 3 min ago\n\
             A local Sigilum has no dashboard. To approve: compare service and key with what you expect, then, in a \
             terminal: sigilum-authz-notify authz approve ID; reject what you do not know."
        );
        assert_eq!(
            notice(&only, &local, Form::Brief).unwrap(),
            "Sigilum: 1 request waits for approval."
        );
    }

    #[test]
    fn what_is_new_and_how_old_it_is() {
        let request = |created: Option<&str>| AuthorizationRequest {
            service: Some("mail".into()),
            created_at: created.map(str::to_owned),
            ..AuthorizationRequest::default()
        };
        let (old, dateless) = (request(Some("2026-11-20T06:23:40Z")), request(None));
        // the request, seconds since it was first seen, shown, made again; its line
        let cases = [
            (&old, 0, false, false, "new: service \"mail\", 2 d ago"),
            (&old, 7_200, false, false, "new: service \"mail\", 2 d ago"),
            (&old, 7_200, true, false, "service \"mail\", 2 d ago"),
            (
                &old,
                0,
                false,
                true,
                "asked again: service \"mail\", first seen just now",
            ),
            (
                &old,
                7_200,
                false,
                true,
                "asked again: service \"mail\", first seen 2 h ago",
            ),
            (&old, 7_200, true, true, "service \"mail\", first seen 2 h ago"),
            (&dateless, 0, false, false, "new: service \"mail\""),
            (&dateless, 60, true, false, "service \"mail\", first seen 1 min ago"),
            (&dateless, -60, true, true, "service \"mail\", first seen just now"),
        ];
        let review = hosted();
        let about = About {
            namespace: "alice",
            review: &review,
            program: "sigilum-authz-notify",
            flags: "",
            now: NOW,
        };
        for (request, since, shown, again, expected) in cases {
            let listed = Listed {
                request,
                first_seen: (NOW - since) * 1000,
                shown,
                again,
            };
            assert_eq!(line(&listed, about.now, FIELD_MAX), expected);
        }
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
            ..Pending::default()
        };
        let text = notice(&many, &hosted(), Form::Full).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "Sigilum: 23 requests wait for your approval in namespace alice."
        );
        for (line, service) in lines[1..6].iter().zip(["s7", "s6", "s5", "s4", "s3"]) {
            assert!(line.contains(&format!("service \"{service}\"")), "{line}");
        }
        assert_eq!(lines[6], "And 18 more, 15 of which could not be read here.");
        assert!(lines[1].ends_with("15 d ago"), "{}", lines[1]);
    }

    #[test]
    fn numbers_and_missing_fields() {
        let nothing = Pending::default();
        assert_eq!(notice(&nothing, &hosted(), Form::Full), None);
        let uncounted = Pending {
            requests: vec![AuthorizationRequest::default(); 20],
            total: None,
            ..Pending::default()
        };
        let text = notice(&uncounted, &hosted(), Form::Full).unwrap();
        assert!(
            text.starts_with("Sigilum: at least 20 requests wait for your approval"),
            "{text}"
        );
        assert!(text.contains("\n1) new: a request without any details\n"), "{text}");
        assert!(text.contains("\nAnd 15 more."), "{text}");
        // A total without a single request: the number is all there is to say.
        let bare = Pending {
            requests: Vec::new(),
            total: Some(u64::MAX),
            ..Pending::default()
        };
        let text = notice(&bare, &hosted(), Form::Full).unwrap();
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
        let at = |url: &str| Review::Dashboard(url.to_owned());
        for (given, shown) in cases {
            assert_eq!(Review::new(Mode::Managed, given), at(shown), "{given:?}");
            let local = match shown {
                DASHBOARD => Review::Terminal,
                shown => at(shown),
            };
            assert_eq!(Review::new(Mode::OssLocal, given), local, "{given:?}");
        }
        let long = format!("https://{}.example", "x".repeat(120));
        assert_eq!(Review::new(Mode::Managed, Some(&long)), hosted());
        assert_eq!(Review::new(Mode::OssLocal, Some(&long)), Review::Terminal);
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
                ..AuthorizationRequest::default()
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
            let all = Pending { requests, total, too_long: 0 };
            let review = Review::new(Mode::Managed, Some(&"https://x.example/".repeat(6)));
            let (program, flags) = ("sigilum-authz-notify", "");
            let about = About { namespace: "alice", review: &review, program, flags, now };
            for form in [Form::Full, Form::Brief] {
                let listed = Seen::default().list("alice", &all, now.saturating_mul(1000));
                let Some(Notice { text, .. }) = super::pending(all.count(), &listed, &about, form) else {
                    prop_assert_eq!(all.count().0, 0);
                    continue;
                };
                prop_assert!(text.chars().count() <= MAX, "{text}");
                prop_assert!(text.lines().count() <= if form == Form::Full { 9 } else { 1 }, "{text}");
                for (at, quoted) in text.split('"').enumerate() {
                    if at % 2 == 1 {
                        // A key is two clean ends, with base64's signs; an address may be one of IPv6.
                        let plain = quoted.replace("..", "-").replace(['+', '='], "-");
                        let address = plain.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '·');
                        prop_assert!(address || is_clean(&plain), "{quoted:?}");
                        prop_assert!(quoted.chars().count() <= FIELD_MAX);
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
            claim_id: Some(format!("cl_{}", "c".repeat(24))),
            ..AuthorizationRequest::default()
        };
        let all = Pending {
            requests: vec![full; 20],
            total: Some(u64::MAX),
            ..Pending::default()
        };
        let url = format!("https://{}", "x".repeat(112));
        // An ID for each takes its room.
        let flags = format!(" --openclaw-home '/{}'", "h".repeat(200));
        for (mode, described, where_to, flags) in [
            (Mode::Managed, 5, url.as_str(), ""),
            (Mode::OssLocal, 4, "authz approve ID", ""),
            (Mode::OssLocal, 3, &format!("authz approve ID{flags};"), &flags),
        ] {
            let review = Review::new(mode, (mode == Mode::Managed).then_some(&url));
            let about = About {
                namespace: &"n".repeat(64),
                review: &review,
                program: "sigilum-authz-notify",
                flags,
                now: NOW,
            };
            let mut listed = Seen::default().list("alice", &all, NOW * 1000);
            listed.iter_mut().for_each(|listed| {
                listed.again = true;
                listed.first_seen = i64::MIN;
            });
            let notice = super::pending(all.count(), &listed, &about, Form::Full).unwrap();
            let text = &notice.text;
            assert_eq!(notice.described, described, "{text}");
            assert!(
                text.contains(&format!("\n{described}) asked again: service \"ss")),
                "{text}"
            );
            assert!(text.chars().count() <= MAX && text.contains(where_to));
        }
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
