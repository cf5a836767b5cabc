//! What an agent with a shell as the OpenClaw gateway's user can do about a broker, with three real users: only root can
//! try.

mod codes;
mod moved;
mod reading;
mod stage;

use crate::Report;

type Part = fn(&mut Report);

/// The parts by name.
pub fn all(only: &str, report: &mut Report) {
    if !rustix::process::geteuid().is_root() {
        println!("  SKIPPED: only root can be three users");
        return;
    }
    let parts: [(&str, Part); 5] = [
        ("reading", reading::all),
        ("codes", codes::all),
        ("full", codes::full),
        ("killed", codes::killed),
        ("moved", moved::all),
    ];
    for (_, part) in parts.into_iter().filter(|(name, _)| name.contains(only)) {
        part(report);
    }
}
