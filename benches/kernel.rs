//! What the kernel counts. `None` where there is no `/proc`.

use std::path::Path;
use std::time::Duration;

/// What all threads of this process have computed so far.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What all processes that this one started, and that have ended, computed. In steps of a clock tick, 10 ms: for many
/// processes together.
pub fn cpu_time_of_children() -> Option<Duration> {
    // cutime and cstime are the 16th and 17th field of a line whose third is the first after the name.
    ticks("/proc/self/stat", 16 - 3)
}

/// What a running process computed, over all its threads, ended ones too. In steps of 10 ms.
pub fn cpu_time_of(pid: u32) -> Option<Duration> {
    ticks(&format!("/proc/{pid}/stat"), 14 - 3)
}

/// The sum of two neighbouring fields of a `stat` file, counted from behind the name.
fn ticks(stat: &str, first: usize) -> Option<Duration> {
    let stat = std::fs::read_to_string(stat).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(first);
    let mut field = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (field()? + field()?)))
}

/// The most memory that this process ever had, in kB.
pub fn peak_memory() -> Option<f64> {
    field(Path::new("/proc/self/status"), "VmHWM:")
}

/// The memory that a running process has now, in kB.
pub fn memory_of(pid: u32) -> Option<f64> {
    field(Path::new(&format!("/proc/{pid}/status")), "VmRSS:")
}

/// What a running process has used so far, over those of its threads that run yet.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub wake_ups: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Self {
        let mut usage = Self::default();
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let ran = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let ran = ran.split(' ').next().and_then(|ns| ns.parse().ok());
            usage.cpu += Duration::from_nanos(ran.unwrap_or_default());
            usage.wake_ups += field(&task.path().join("status"), "voluntary_ctxt_switches:").unwrap_or_default() as u64;
        }
        usage
    }
}

/// A number in a file of lines like `VmRSS:   123 kB`.
fn field(path: &Path, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
