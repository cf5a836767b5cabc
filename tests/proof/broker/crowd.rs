//! Who keeps others from asking: with connections, with questions that nobody waits for, as one who may not ask.

use super::stage::{Client, Stage, as_user};
use crate::Report;
use crate::env::planted::VICTIM;
use crate::env::{BROKER, STRANGER};
use serde_json::Value;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nobody has more than their seats, and one who has all of theirs takes none of another user's.
pub fn full(report: &mut Report) {
    let Some(stage) = Stage::new() else { return };
    stage.requests(1);
    let users: Vec<u32> = (0..9).map(|number| 60_001 + number).collect();
    let flags: Vec<String> = users
        .iter()
        .flat_map(|uid| ["--allow-uid".to_owned(), uid.to_string()])
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let _broker = stage.broker(&flags);
    let is_in = |hello: &Value| hello["version"] == 1;
    let mut seated = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for uid in &users {
        for _ in 0..12 {
            let (client, hello) = Client::connect(&stage.socket, *uid);
            match is_in(&hello) {
                true => {
                    taken += 1;
                    seated.push(client);
                }
                false => refused += 1,
            }
        }
    }
    if (taken, refused) != (64, 9 * 12 - 64) {
        report.fault("a full socket", format!("{taken} were taken, {refused} refused"));
    }
    // Who is in is answered, and who goes makes room.
    if seated.iter_mut().any(|client| client.say("status").is_none()) {
        report.fault("a full socket", "one who is in was not answered".to_owned());
    }
    seated.clear();
    let again = stage.is_seated_soon(users[8]);
    let stranger = Client::connect(&stage.socket, STRANGER).1;
    if !again || is_in(&stranger) {
        report.fault(
            "a full socket",
            format!("room again: {again}; one who may not ask: {stranger}"),
        );
    }
    report.line(format!(
        "a full socket: {taken} of {} connections of 9 users taken, 8 of each at most; all answered; one who is not allowed is refused",
        taken + refused
    ));
}

/// Questions that take the API a while, and nobody who waits for them: no more of them are under way than one user has
/// seats.
pub fn gone(report: &mut Report) {
    const SLOW: Duration = Duration::from_secs(5);
    const SEATS: usize = 8;
    let Some(stage) = Stage::new() else { return };
    stage.requests(1);
    let broker = stage.usual();
    let asked = || {
        stage
            .api
            .seen()
            .iter()
            .filter(|seen| seen.line.contains("/claims?"))
            .count()
    };
    let before = asked();
    stage.api.delay(SLOW);
    let begun = Instant::now();
    let (mut tries, mut taken) = (0, 0);
    // Over before the first of them is answered.
    while begun.elapsed() < SLOW / 2 {
        let (mut client, hello) = Client::connect(&stage.socket, STRANGER);
        tries += 1;
        if hello["version"] == 1 && client.send(b"{\"id\":1,\"list\":{\"status\":\"pending\"}}\n") {
            taken += 1;
        }
    }
    let others = Client::connect(&stage.socket, BROKER).1;
    let questions = asked() - before;
    if taken != SEATS || tries <= SEATS || questions > SEATS || others["version"] != 1 {
        report.fault(
            "gone",
            format!("{taken} of {tries} were taken, the API was asked {questions} times; another user: {others}"),
        );
    }
    stage.api.delay(Duration::ZERO);
    if !stage.is_seated_soon(STRANGER) {
        report.fault("gone", "there is no room once they are through".to_owned());
    }
    drop(broker);
    report.line(format!(
        "asked and gone: {tries} times, {taken} taken, {questions} questions to the API under way; another user is let in \
         meanwhile, and the same one afterwards"
    ));
}

/// A user who may not ask, in three threads without end, and with connections that stay: who may ask is answered.
pub fn strangers(report: &mut Report) {
    const QUESTIONS: usize = 20;
    let Some(stage) = Stage::new() else { return };
    stage.requests(1);
    let (broker, begun) = (stage.usual(), Instant::now());
    let over = AtomicBool::new(false);
    let mut answered = 0;
    let count: usize = std::thread::scope(|scope| {
        let socket = &stage.socket;
        let flood = || as_user(VICTIM, || flooded(socket, &over));
        let floods: Vec<_> = (0..3).map(|_| scope.spawn(flood)).collect();
        for _ in 0..QUESTIONS {
            let (mut client, _) = Client::connect(&stage.socket, STRANGER);
            answered += usize::from(client.say("list").is_some_and(|list| list.contains("CODE")));
        }
        over.store(true, Ordering::Relaxed);
        floods.into_iter().map(|flood| flood.join().unwrap()).sum()
    });
    let staying: Vec<(Client, Value)> = (0..100).map(|_| Client::connect(&stage.socket, VICTIM)).collect();
    let refused = staying.iter().filter(|(_, hello)| hello["error"].is_string()).count();
    let seated = (0..8).filter(|_| stage.is_seated_soon(STRANGER)).count();
    let log = broker.end();
    let told = log
        .iter()
        .filter(|line| line.contains(&format!("refused the user {VICTIM}")))
        .count();
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    if answered != QUESTIONS || count < 200 || refused != staying.len() || seated != 8 {
        report.fault(
            "strangers",
            format!("{answered} answered beside {count} connections; {refused} refused, {seated} seated"),
        );
    }
    if !(1..=2 + minutes).contains(&told) {
        report.fault("strangers", format!("{told} lines in the log"));
    }
    report.line(format!(
        "a user who may not ask: {} connections, none let in, {told} line in the log; {answered} of {QUESTIONS} questions of \
         who may ask answered meanwhile",
        count + refused
    ));
}

/// Connects until it is over.
fn flooded(socket: &Path, over: &AtomicBool) -> usize {
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        count += usize::from(UnixStream::connect(socket).is_ok());
    }
    count
}
