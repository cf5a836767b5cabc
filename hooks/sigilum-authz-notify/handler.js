// Hands OpenClaw events to the program `sigilum-authz-notify hook run` and its messages to the chat. No logic here.
// The plugin has a copy of this file and takes from it what both need. All in one file, as OpenClaw loads a changed
// handler anew, but not what a handler imports.
import { spawn } from "node:child_process";
import { existsSync, lstatSync, readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

export const NAME = "sigilum-authz-notify";
export const DEADLINE_MS = 5000; // for an answer; the program's own budget is shorter
const MAX_ANSWER = 64 * 1024;
const MISSING = `the program ${NAME} is missing, so requests that wait for approval cannot be shown.`;
const EVENTS = new Set(["command:new", "command:reset", "gateway:startup"]);
const here = dirname(fileURLToPath(import.meta.url));
// One object for the hook and the plugin in this gateway, and for each of their instances: one notice, one child.
// `answered` holds the array of messages: OpenClaw gives a plugin a copy of the event, but the same array.
export const shared = (globalThis[Symbol.for(NAME)] ??= { answered: new WeakSet(), resident: undefined });

export default async function handler(event) {
  if (!EVENTS.has(`${event?.type}:${event?.action}`)) return;
  if (!existsSync(join(here, "handler.js"))) return; // uninstalled under a gateway that goes on
  if (shared.resident?.ready) return; // the plugin answers
  const log = (level, text) => console[level](`[${NAME}] ${text}`);
  const home = record(join(here, "install.json")).home ?? homeOf(here);
  await answer(event, (question) => run(command(here, home), question), log, missing("hook install", home), home);
}

/**
 * Asks about an event, once in this gateway, and puts what comes back into the chat and the log. `missing` is what to log
 * where there is no program, `home` whose hook it is. Never throws.
 */
export async function answer(event, ask, log, missing, home) {
  const { messages } = event;
  if (!Array.isArray(messages) || shared.answered.has(messages)) return;
  shared.answered.add(messages);
  try {
    const reply = await ask(question(event));
    if (reply.error) throw { code: reply.error };
    for (const line of strings(reply.logs)) log("info", line);
    messages.push(...strings(reply.messages));
  } catch (error) {
    const why = error?.code ?? error?.name ?? "unknown error";
    log("warn", why === "missing" ? missing : `no answer: ${why}; see: ${typed("hook status", home)}`);
    // Silence would read as "nothing waits"; but what the owner must mend is nothing for a group.
    const lines = isDirect(event) ? problem(why) : [];
    messages.push(...lines);
    if (lines.length === 0) shared.answered.delete(messages); // nothing was said: the other of the two may
  }
}

/** Whether chat type and session key both say that nobody else reads it, as src/hook/event.rs has it. */
function isDirect({ sessionKey, context }) {
  const [agent, , ...rest] = `${sessionKey}`.split(":");
  const kinds = ["direct", "dm", "group", "channel", "thread", "topic"];
  const kind = rest.length === 1 ? rest[0] && "direct" : rest.slice(0, 3).find((part) => kinds.includes(part));
  return context?.sessionEntry?.chatType === "direct" && agent === "agent" && ["direct", "dm"].includes(kind);
}

/** Who is recorded to read, the program alone knows: a stranger perhaps, who learns nothing of this machine. */
function problem(why) {
  const how = "The operator must act; the OpenClaw gateway's log says how.";
  if (why === "missing") return [`Sigilum: ${MISSING} ${how}`];
  const passes = why === "deadline" || `${why}`.endsWith(" are being answered already"); // by itself
  return [`Sigilum could not be asked: no answer from ${NAME} (${inWords(why)}). ${passes ? "Ask again in a moment." : how}`];
}

function inWords(why) {
  if (/^SIG/.test(why)) return `killed by ${why}`;
  const words = { deadline: "none within 5 s", SyntaxError: "not a JSON answer", EACCES: "no permission to run it" };
  return words[why] ?? why;
}

/** What is missing where no record names a program that is there, and how to get it. */
export function missing(install, home) {
  const run = typed(install, home);
  const get = `If you do not have it, build it from its source (cargo install --locked --path .); then run: ${run}`;
  return `${MISSING} ${get}`;
}

/** A command of ours, as a person types it in a terminal: for another home than the default one it names that. */
export function typed(words, home) {
  const own = `${environment().HOME}/`;
  if (!home || home === `${own}.openclaw`) return `${NAME} ${words}`;
  const quoted = (path) => `'${path.replaceAll("'", `'\\''`)}'`;
  const path = home.startsWith(own) ? `~/${quoted(home.slice(own.length))}` : quoted(home); // a chat learns no user's name
  return `${NAME} ${words} --openclaw-home ${path}`;
}

/** Of the config, which is full of secrets, nothing; of the event, where the answer will be read and by whom. */
function question({ type, action, sessionKey, context }) {
  const { senderId, commandSource, sessionEntry } = context ?? {};
  return { type, action, sessionKey, chatType: sessionEntry?.chatType, senderId, commandSource };
}

/**
 * The program and its flags: `own`, where the plugin's package brings one, else the one that a person's install or login
 * recorded, in `install.json` in `dir` or in the OpenClaw home's `hook.json`. Nothing else names them, no variable and no
 * PATH: OpenClaw fills the gateway's environment from its config, which agents can edit.
 */
export function command(dir, home, own) {
  const installed = record(join(dir, "install.json"));
  const place = installed.home ?? home;
  const kept = place ? record(join(place, ".sigilum/hook.json")) : {};
  const programs = [own, installed.binary, kept.binary];
  const program = programs.find((file) => file && statSync(file, { throwIfNoEntry: false })?.isFile());
  if (!program) throw { code: "missing" };
  return { program, flags: place ? ["--openclaw-home", place] : [] }; // the config the program finds by the same record
}

/** The absolute paths in a record; none where it is not a regular file of ours or root's that they alone can write. */
export function record(file) {
  const paths = Object.entries(trusted(file));
  return Object.fromEntries(paths.filter(([, path]) => typeof path === "string" && isAbsolute(path)));
}

/** All of a record, under the same condition. */
export function trusted(file) {
  try {
    return isTrusted(lstatSync(file)) ? (JSON.parse(readFileSync(file, "utf8")) ?? {}) : {};
  } catch {
    return {}; // none, or nothing that can be read
  }
}

/** Whether it is a regular file of ours or root's that they alone can write. */
export function isTrusted({ mode, uid, gid }) {
  if ((mode & 0o170002) !== 0o100000 || ![0, process.getuid()].includes(uid)) return false;
  return !(mode & 0o020) || isOursAlone(gid);
}

/** Whether a group is ours and nobody else's, by passwd(5) and group(5): a kubelet lets it write to a pod's volume. */
function isOursAlone(gid) {
  if (gid === 0) return true; // as root
  if (process.platform !== "linux" || ![process.getegid(), ...process.getgroups()].includes(gid)) return false;
  const rows = (file) => (existsSync(file) ? readFileSync(file, "utf8") : "").split("\n").map((line) => line.split(":"));
  const accounts = rows("/etc/passwd");
  const listed = rows("/etc/group").filter(([, , id]) => id === `${gid}`).flatMap(([, , , names]) => names?.split(",") ?? []);
  const known = (name) => !name || accounts.some(([account]) => account === name);
  const members = accounts.filter(([name, , , own]) => own === `${gid}` || (name && listed.includes(name)));
  return listed.every(known) && members.every(([, , uid]) => [0, process.getuid()].includes(Number(uid)));
}

/** The OpenClaw home that the files lie in: `<home>/hooks/…`, `<home>/.sigilum/plugin` or `<home>/npm/projects/…`. */
export function homeOf(dir) {
  const home = /^(.*)\/(?:hooks\/.*|\.sigilum\/plugin|npm\/projects\/.*)$/.exec(dir)?.[1];
  return home && [".sigilum", "openclaw.json"].some((name) => existsSync(join(home, name))) ? home : undefined;
}

/** All of an environment that the program gets. The home is the account's, as `HOME` may be the config's. */
export function environment() {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin" };
  try {
    env.HOME = userInfo().homedir;
  } catch {} // an account that the machine does not know, as in some containers
  return env;
}

function run({ program, flags }, question) {
  return new Promise((resolve, reject) => {
    const options = { env: environment(), cwd: "/", stdio: ["pipe", "pipe", "ignore"] };
    const child = spawn(program, ["hook", "run", ...flags], options);
    let output = "";
    const done = (code, signal) => (clearTimeout(timer), code === 0 ? resolve(output) : reject({ code: signal ?? `exit ${code}` }));
    const stop = (code) => (clearTimeout(timer), child.kill("SIGKILL"), child.stdout.destroy(), reject({ code }));
    const timer = setTimeout(stop, DEADLINE_MS, "deadline");
    child.on("error", (error) => stop(error.code)).on("close", done);
    child.stdout.setEncoding("utf8").on("data", (part) => (output += part).length > MAX_ANSWER && stop("too long"));
    child.stdin.on("error", () => {}).end(JSON.stringify(question)); // one that ends early is judged by its exit code
  }).then(JSON.parse);
}

function strings(list) {
  return Array.isArray(list) ? list.filter((item) => typeof item === "string" && item.length <= 4000).slice(0, 8) : [];
}
