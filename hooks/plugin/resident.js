// One child process that answers JSON lines: started at once, restarted with backoff, ended with its owner.
import { spawn } from "node:child_process";
import { delimiter, isAbsolute } from "node:path";
import { createInterface } from "node:readline";

const DEADLINE_MS = 5000; // for an answer; the child's own budget is shorter
const STOP_MS = 1500; // from the end of its standard input to SIGKILL
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
const STEADY_MS = 60_000; // a child that lived so long starts the backoff afresh
const MAX_LINE = 64 * 1024;
// What the child may see of the gateway's environment: no secret among it.
const ENV = `HOME USER LOGNAME LANG LC_ALL TZ TMPDIR RUST_LOG SSL_CERT_FILE SSL_CERT_DIR OPENCLAW_HOME OPENCLAW_STATE_DIR
  OPENCLAW_PROFILE OPENCLAW_CONFIG_PATH OPENCLAW_CONFIG_READONLY OPENCLAW_NIX_MODE OPENCLAW_INCLUDE_ROOTS
  HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy SIGILUM_NAMESPACE
  GATEWAY_SIGILUM_NAMESPACE SIGILUM_MODE SIGILUM_API_URL SIGILUM_DASHBOARD_URL SIGILUM_HOOK_TIMEOUT_MS
  SIGILUM_NOTIFY_SENDERS SIGILUM_NOTIFY_GROUPS SIGILUM_ALLOW_INSECURE_HTTP SIGILUM_API_DB SIGILUM_SOURCE_HOME
  SIGILUM_OWNER_TOKEN_COMMAND`.split(/\s+/);

export class Resident {
  #options;
  #child;
  #waiting = new Map(); // id → { resolve, reject, timer }
  #lastId = 0;
  #pause = FIRST_PAUSE_MS;
  #restart;
  #stopped = false;

  constructor(options) {
    this.#options = options;
  }

  /** Whether a child runs that can be asked. */
  get ready() {
    return this.#child !== undefined;
  }

  start() {
    if (this.#stopped || this.#child) return;
    clearTimeout(this.#restart);
    const { program, args, logger, health } = this.#options;
    const env = Object.fromEntries(ENV.filter((key) => process.env[key] !== undefined).map((key) => [key, process.env[key]]));
    env.PATH = (process.env.PATH ?? "").split(delimiter).filter(isAbsolute).join(delimiter);
    const child = spawn(program, args, { env, cwd: "/", stdio: ["pipe", "pipe", "pipe"] });
    const started = Date.now();
    this.#child = child;
    let gone = false;
    const ended = (why) => {
      if (gone) return;
      gone = true;
      this.#child = undefined;
      for (const id of [...this.#waiting.keys()]) this.#settle(id, (wait) => wait.reject({ code: why }));
      if (this.#stopped) return;
      if (Date.now() - started > STEADY_MS) this.#pause = FIRST_PAUSE_MS;
      logger.warn(`sigilum-authz-notify: ${args[0]} ended (${why}); next start in ${this.#pause / 1000} s`);
      health?.reportFailure(new Error(`ended (${why})`));
      this.#restart = setTimeout(() => this.start(), this.#pause);
      this.#restart.unref();
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    };
    child.on("error", (error) => ended(error.code ?? "error"));
    child.on("exit", (code, signal) => ended(signal ?? `exit ${code}`));
    child.on("spawn", () => health?.clearFailure());
    child.stdin.on("error", () => {}); // a child that is gone is seen by its exit
    createInterface({ input: child.stdout }).on("line", (line) => this.#take(line));
    createInterface({ input: child.stderr }).on("line", (line) => log(logger, line));
  }

  /** Sends one question; resolves with the child's answer. */
  ask(question) {
    this.start(); // an event does not wait for the backoff
    const child = this.#child;
    if (!child) return Promise.reject({ code: "stopped" });
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle(id, (wait) => wait.reject({ code: "deadline" }));
        child.kill("SIGKILL"); // stuck: its own budget is shorter
      }, DEADLINE_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      child.stdin.write(`${JSON.stringify({ id, ...question })}\n`);
    });
  }

  /** Ends the child: by closing its standard input, then by force. */
  async stop() {
    this.#stopped = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (!child) return;
    await new Promise((resolve) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      child.on("close", () => (clearTimeout(timer), resolve()));
      child.stdin.end();
    });
  }

  #take(line) {
    if (line.length > MAX_LINE) return;
    let reply;
    try {
      reply = JSON.parse(line);
    } catch {
      return; // not an answer
    }
    this.#settle(reply?.id, (wait) => wait.resolve(reply));
  }

  #settle(id, how) {
    const wait = this.#waiting.get(id);
    if (!wait) return;
    this.#waiting.delete(id);
    clearTimeout(wait.timer);
    how(wait);
  }
}

/** `<time> <LEVEL> <text>` is logged at its level; anything else, such as the reason of a failed start, as information. */
function log(logger, line) {
  const [, level, text] = /^\S+\s+(ERROR|WARN|INFO|DEBUG|TRACE)\s+(.*)$/.exec(line) ?? [];
  const write = { ERROR: "error", WARN: "warn", DEBUG: "debug", TRACE: "debug" }[level] ?? "info";
  logger[write]?.(`sigilum-authz-notify: ${(text ?? line).slice(0, 2000)}`);
}
