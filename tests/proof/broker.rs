//! What an agent with a shell as the OpenClaw gateway's user can do about a broker, with three real users: only root can
//! try.

mod codes;
mod crowd;
mod deciding;
mod moved;
mod planted;
mod reading;
mod stage;

use crate::Report;

type Scene = fn(&mut Report);

/// Each by the beginning of the row of docs/security.md that it tries.
const SCENES: [(&str, Scene); 13] = [
    ("read the token", reading::files),
    ("have the broker say a secret", reading::socket),
    ("decide a request without the owner", deciding::alone),
    ("guess a code", codes::guessed),
    ("use a code again", codes::again),
    ("put a socket of its own", reading::false_socket),
    ("take all of the broker's connections", crowd::full),
    ("ask and go away", crowd::gone),
    ("as a user who may not ask", crowd::strangers),
    ("keep the owner's own commands from deciding", deciding::unconfirmed),
    ("put a token, or a link", planted::before_a_move),
    ("have root", planted::for_root),
    ("edit the records", planted::records),
];

/// The scenes by name, and a move that is killed anywhere, which no agent can do.
pub fn all(only: &str, report: &mut Report) {
    rows(report);
    if !rustix::process::geteuid().is_root() {
        println!("  SKIPPED: only root can be three users");
        return;
    }
    let moved: [(&str, Scene); 1] = [("moved", moved::all)];
    for (_, scene) in SCENES.into_iter().chain(moved).filter(|(name, _)| name.contains(only)) {
        scene(report);
    }
}

/// Every row has a scene and says so, and every scene a row.
fn rows(report: &mut Report) {
    let text = include_str!("../../docs/security.md");
    let table = text
        .split("\n## ")
        .find(|part| part.starts_with("Behind a broker"))
        .unwrap_or_default();
    let rows: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter(|row| !row.starts_with("it tries"))
        .collect();
    for row in &rows {
        let scenes = SCENES.iter().filter(|(name, _)| row.starts_with(name)).count();
        if scenes != 1 || !row.contains("`proof broker`") {
            report.fault("docs/security.md", format!("{scenes} scenes of the row: {row}"));
        }
    }
    for (name, _) in SCENES {
        if !rows.iter().any(|row| row.starts_with(name)) {
            report.fault("docs/security.md", format!("no row of the scene: {name}"));
        }
    }
    report.line(format!("docs/security.md: {} rows, each with its scene", rows.len()));
}
