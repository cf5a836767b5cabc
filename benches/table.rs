//! The one table.

use std::time::Duration;

/// One thing that was measured. What was not measured stays empty.
#[derive(Default)]
pub struct Row {
    /// What each round took.
    pub wall: Vec<Duration>,
    /// What one round computed, user and system, over all threads: the mean.
    pub cpu: Option<Duration>,
    /// How often one round waited for the disk.
    pub fsyncs: Option<usize>,
    /// The most memory at one time, in kB.
    pub peak: Option<f64>,
    /// What else there is to say.
    pub note: String,
}

/// What to measure for a row, and the row's name.
pub type Measure = (&'static str, fn() -> Row);

/// Measures and prints those whose name holds `only`.
pub fn print(all: &[Measure], only: &str) {
    for (name, measure) in all.iter().filter(|(name, _)| name.contains(only)) {
        measure().print(name);
    }
}

/// Prints the head of the table, and what it tells of: the build, the machine and how busy that is.
pub fn head() {
    let size = std::fs::metadata(crate::env::BINARY).map_or(0, |meta| meta.len());
    line(
        "",
        ["median ms", "best ms", "CPU ms", "fsyncs", "peak MB"].map(str::to_owned),
        &format!("(binary of {:.1} MB; {})", size as f64 / 1e6, machine()),
    );
}

fn machine() -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let (cpu, load) = (read("/proc/cpuinfo"), read("/proc/loadavg"));
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{} × {}, load {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        model.map_or("?", |(_, model)| model),
        load.split(' ').next().unwrap_or("?")
    )
}

impl Row {
    /// Prints it.
    pub fn print(mut self, name: &str) {
        self.wall.sort();
        let median = self.wall.get(self.wall.len() / 2).copied();
        let cells = [
            median.map(millis),
            self.wall.first().copied().map(millis),
            self.cpu.map(millis),
            self.fsyncs.map(|count| count.to_string()),
            self.peak.map(|kb| format!("{:.1}", kb / 1e3)),
        ];
        line(name, cells.map(Option::unwrap_or_default), &self.note);
    }
}

/// Milliseconds, with as many digits as make sense.
pub fn millis(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        0.1.. => format!("{ms:.2}"),
        _ => format!("{ms:.4}"),
    }
}

fn line(name: &str, [median, best, cpu, fsyncs, peak]: [String; 5], note: &str) {
    let line = format!("{name:<48} {median:>9} {best:>9} {cpu:>8} {fsyncs:>6} {peak:>7}  {note}");
    println!("{}", line.trim_end());
}
