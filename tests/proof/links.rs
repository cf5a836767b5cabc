//! Symlink and hard-link games in our folders: what is planted is never written through.

use super::Report;
use super::scenes::{self, CONFIG};
use crate::env::Output;
use crate::env::services::Desk;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

const VICTIM: &str = "a file of somebody else's\n";

#[derive(Clone, Copy, Debug)]
enum Plant {
    Symlink,
    HardLink,
    Dangling,
}

/// Each name of ours, as each kind of link, under the commands that would write it.
pub fn all(_: &str, report: &mut Report) {
    let home_files = [
        "owner-token-alice.jwt",
        "owner-alice.json",
        "undo.json",
        "jwt-secret",
        "local-api.sqlite",
        "lock",
        "watch.lock",
        "watch-status.json",
    ];
    let workspace_files = [
        "service-api-key-linear",
        "gateway-connection-secret-linear",
        ".sigilum-authz-notify.lock",
    ];
    let mut counts = (0, 0, 0);
    for plant in [Plant::Symlink, Plant::HardLink, Plant::Dangling] {
        for name in home_files {
            let path = PathBuf::from(".openclaw/.sigilum").join(name);
            game(&path, plant, &mut counts, report, |desk| {
                let mut outputs = vec![scenes::login(desk).output(), scenes::refresh(desk).output()];
                outputs.push(scenes::watch(desk).output());
                outputs
            });
        }
        for name in ["openclaw.json.lock", "hooks/sigilum-authz-notify/handler.js"] {
            let path = PathBuf::from(".openclaw").join(name);
            game(&path, plant, &mut counts, report, |desk| {
                // The lock is waited for in vain, as OpenClaw does.
                let quick = [
                    "--write-openclaw",
                    if name.ends_with("lock") { "false" } else { "true" },
                ];
                let login = ["auth", "login", "--mode", "oss-local", "--namespace", "alice"];
                let mut outputs = vec![desk.env.run(login.into_iter().chain(quick)).output()];
                if !name.ends_with("lock") {
                    outputs.push(scenes::install(desk).output());
                }
                outputs
            });
        }
        for name in workspace_files {
            let path = PathBuf::from("sigilum/.sigilum-workspace").join(name);
            game(&path, plant, &mut counts, report, |desk| {
                vec![desk.add_linear([]).output(), scenes::set_secret(desk).output()]
            });
        }
    }
    for folder in [".openclaw/.sigilum", "sigilum/.sigilum-workspace"] {
        folder_game(folder, &mut counts, report);
    }
    let others = others_folder(report);
    report.line(format!(
        "{} planted links and folders: {} commands refused with an explanation, {} went on beside them, none wrote \
         through; a folder of another user's: {others}",
        counts.0, counts.1, counts.2
    ));
}

fn judge(path: &Path, plant: &str, outputs: &[Output], counts: &mut (u32, u32, u32), report: &mut Report) {
    let mut first = true;
    for output in outputs {
        if output.code == 0 {
            counts.2 += 1;
        } else {
            counts.1 += 1;
            // What fails later may fail for want of what the first would have made.
            let explained = output.stderr.contains("could not") && output.stderr.contains(path.to_str().unwrap());
            let unexplained = std::mem::take(&mut first) && !explained;
            if unexplained || output.stderr.contains("panicked at") {
                report.fault("links", format!("{} as {plant}: {}", path.display(), output.stderr));
            }
        }
    }
}

fn game(
    path: &Path,
    plant: Plant,
    counts: &mut (u32, u32, u32),
    report: &mut Report,
    run: impl Fn(&Desk) -> Vec<Output>,
) {
    let desk = Desk::new();
    desk.env.write_config(CONFIG);
    let victim = desk.env.write("victim", VICTIM);
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o644)).unwrap();
    let at = desk.env.write(path, "");
    std::fs::remove_file(&at).unwrap();
    let nowhere = desk.env.home().join("nowhere");
    match plant {
        Plant::Symlink => symlink(&victim, &at).unwrap(),
        Plant::HardLink => std::fs::hard_link(&victim, &at).unwrap(),
        Plant::Dangling => symlink(&nowhere, &at).unwrap(),
    }
    counts.0 += 1;
    let outputs = run(&desk);
    judge(path, &format!("{plant:?}"), &outputs, counts, report);
    let text = std::fs::read_to_string(&victim).unwrap();
    let mode = std::fs::metadata(&victim).unwrap().mode() & 0o7777;
    if text != VICTIM || mode != 0o644 || nowhere.exists() {
        report.fault(
            "links",
            format!(
                "{} as {plant:?} was written through: {mode:04o} {text:?}",
                path.display()
            ),
        );
    }
}

/// The folder itself is a link, or open to everybody.
fn folder_game(folder: &str, counts: &mut (u32, u32, u32), report: &mut Report) {
    for open in [false, true] {
        let desk = Desk::new();
        desk.env.write_config(CONFIG);
        let elsewhere = desk.env.home().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let at = desk.env.home().join(folder);
        if open {
            std::fs::create_dir(&at).unwrap();
            std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o777)).unwrap();
        } else {
            symlink(&elsewhere, &at).unwrap();
        }
        counts.0 += 1;
        let outputs = if folder.ends_with(".sigilum") {
            vec![
                scenes::login(&desk).output(),
                scenes::install(&desk).output(),
                scenes::watch(&desk).output(),
            ]
        } else {
            vec![desk.add_linear([]).output()]
        };
        judge(
            Path::new(folder),
            if open { "open to all" } else { "link" },
            &outputs,
            counts,
            report,
        );
        let inside = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        let mode = std::fs::metadata(&at).unwrap().mode() & 0o7777;
        if outputs[0].code == 0 || inside(&elsewhere) > 0 || inside(&at) > 0 {
            report.fault("links", format!("{folder} was used, open: {open}: {outputs:?}"));
        }
        if open && mode != 0o777 {
            report.fault("links", format!("{folder} was chmodded"));
        }
    }
}

/// Needs root to make a folder of another user's, and then runs as a third.
fn others_folder(report: &mut Report) -> &'static str {
    const ME: u32 = 65_534;
    const OTHER: u32 = 12_345;
    if !rustix::process::geteuid().is_root() {
        return "not played, that needs root";
    }
    let desk = Desk::new();
    desk.env.write_config(CONFIG);
    let folder = desk.env.home().join(".openclaw/.sigilum");
    std::fs::create_dir(&folder).unwrap();
    for (path, owner) in [
        (desk.env.home().to_owned(), ME),
        (desk.env.openclaw(), ME),
        (desk.env.config(), ME),
        (folder.clone(), OTHER),
    ] {
        std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
    }
    // The build's own folder may be closed to that user.
    let binary = desk.env.home().join("binary");
    std::fs::copy(crate::env::BINARY, &binary).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = std::process::Command::new(&binary)
        .args(["auth", "login", "--mode", "oss-local", "--namespace", "alice"])
        .env_clear()
        .env("HOME", desk.env.home())
        .current_dir(desk.env.home())
        .uid(ME)
        .gid(ME)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || !stderr.contains("another user") || std::fs::read_dir(&folder).unwrap().count() > 0 {
        report.fault("links", format!("a folder of another user's was used: {stderr}"));
    }
    "refused with an explanation"
}
