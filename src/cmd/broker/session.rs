//! One connection of the broker's: as one `serve --stdio`, with deadlines.

use super::asker::Guest;
use super::house::House;
use crate::broker::client::write_line;
use crate::broker::protocol::{Hello, MAX_QUESTION};
use crate::broker::seats::Seat;
use crate::broker::stream::Reader;
use crate::cmd::exchange::server::EventServer;
use crate::cmd::exchange::{self, Message, lines};
use crate::settings;
use crate::token::record;
use serde_json::Value;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// A connection's threads: a line may nest as deep as serde_json takes it, 128 levels.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Serves a connection in threads of its own, until it ends.
///
/// # Errors
/// There is no thread for it.
pub fn start(house: &Arc<House>, stream: UnixStream, seat: Seat) -> io::Result<()> {
    let house = Arc::clone(house);
    let thread = std::thread::Builder::new()
        .name("client".to_owned())
        .stack_size(STACK_BYTES);
    thread.spawn(move || {
        // One that goes wrong is over, and is nobody else's trouble.
        let _ = serve(&house, &stream, seat);
        let _ = stream.shutdown(Shutdown::Both);
    })?;
    Ok(())
}

fn serve(house: &Arc<House>, stream: &UnixStream, seat: Seat) -> io::Result<()> {
    let (sender, messages) = channel();
    write_line(stream, &hello(house))?;
    let mut input = Reader::new(stream.try_clone()?);
    let reader = sender.clone();
    let thread = std::thread::Builder::new()
        .name("lines".to_owned())
        .stack_size(STACK_BYTES);
    thread.spawn(move || {
        lines::read(&mut input, MAX_QUESTION, &mut |item| {
            let (waits, taken) = channel();
            reader.send(Message::Incoming(item, MAX_QUESTION)).is_ok()
                && reader.send(Message::Waits(waits)).is_ok()
                && taken.recv().is_ok()
        });
        let _ = reader.send(Message::End);
    })?;
    let number = house.enter(sender.clone());
    let _present = Present { house, number };
    let guest = Guest {
        house: Arc::clone(house),
        seat,
        number,
    };
    let server = Arc::new(EventServer::new(Box::new(guest), Arc::clone(&house.kept)));
    exchange::serve(&messages, &sender, &server, &mut (), &mut |line| {
        write_line(stream, &house.redacted(line)).is_ok()
    });
    Ok(())
}

/// A connection that is there; over however it ends, a panic too.
struct Present<'a> {
    house: &'a House,
    number: u64,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.house.leave(self.number);
    }
}

fn hello(house: &House) -> Value {
    let namespaces = record::namespaces(&house.place.sigilum_dir()).unwrap_or_default();
    let namespace = settings::hook_namespace(&house.place)
        .ok()
        .and_then(|(namespace, _)| namespace);
    let hello = Hello::new(
        house.account.clone(),
        namespaces.into_iter().collect(),
        namespace.map(|namespace| namespace.value),
    );
    serde_json::to_value(hello).unwrap_or_default()
}
