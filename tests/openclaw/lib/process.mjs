// Processes: started with a note that run.sh reads, stopped by pid, looked for in /proc.
import { spawn } from "node:child_process";
import { readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const WORK = process.env.E2E_WORK;
export const BINARY = process.env.SIGILUM_E2E_BIN;
/** How OpenClaw is started: by its own entry, with the Node of .work. */
export const OPENCLAW_ENTRY = join(WORK, `openclaw-${process.env.OPENCLAW_VERSION}`, "node_modules/openclaw/openclaw.mjs");

/** Waits until `look` gives something that is not false, undefined or null, and returns it. */
export async function until(what, look, { timeout = 30_000, every = 20 } = {}) {
  for (const end = Date.now() + timeout; ; ) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited ${timeout} ms for ${what}`);
    await sleep(every);
  }
}

/** Field 22 of /proc/<pid>/stat; undefined where there is no such process. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Starts a program whose output is kept; run.sh ends it should the test die. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
  const note = join(WORK, "started", String(child.pid));
  if (child.pid) writeFileSync(note, `${child.pid} ${startTime(child.pid)}\n`);
  child.output = "";
  child.errors = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (child.output += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (child.errors += text));
  child.stdin.on("error", () => {});
  child.gone = new Promise((resolve) => child.on("exit", resolve)); // its helpers may still hold its output open
  child.ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      rmSync(note, { force: true });
      resolve({ code, signal, stdout: child.output, stderr: child.errors });
    });
  });
  child.ended.catch(() => {});
  return child;
}

/** Runs a program to its end. */
export async function run(program, args, { input, ...options } = {}) {
  const child = start(program, args, options);
  child.stdin.end(input);
  const timer = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const ended = await child.ended;
  clearTimeout(timer);
  return ended;
}

/** Processes that run the binary under test: [{ pid, args }]. */
export function ours() {
  return processes().filter(({ exe }) => exe === BINARY);
}

/** The plugin's children of these: not its `doctor`, which looks now and then. */
export function residents() {
  return ours().filter(({ args }) => args[1] === "serve");
}

/** Processes whose program lies in this folder: [{ pid, exe, args }]. */
export function runningFrom(folder) {
  return processes().filter(({ exe }) => exe?.startsWith(`${folder}/`));
}

/** Processes whose environment holds the text. */
export function withEnvironment(text) {
  return processes().filter(({ pid }) => environment(pid).includes(text));
}

/** The environment of a process, as /proc has it. */
export function environment(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return "";
  }
}

function processes() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && startTime(name) !== undefined)
    .flatMap((name) => {
      try {
        const args = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").slice(0, -1);
        return [{ pid: Number(name), exe: readlinkSync(`/proc/${name}/exe`), args }];
      } catch {
        return []; // gone in the meantime, or another user's
      }
    });
}

/** The middle value. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
