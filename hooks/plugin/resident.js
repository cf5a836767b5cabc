// One child process that answers JSON lines: started at once, restarted with backoff, ended with its owner.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { DEADLINE_MS, environment } from "./handler.js";

const STOP_MS = 1500; // from the end of its standard input to SIGKILL
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
const STEADY_MS = 60_000; // a child that lived so long starts the backoff afresh
const MAX_LINE = 64 * 1024;

export class Resident {
  #options;
  #child;
  #waiting = new Map(); // id → { child, resolve, reject, timer, confirm }
  #lastId = 0;
  #pause = FIRST_PAUSE_MS;
  #restart;
  #stopped = true;
  #missing = false; // it has been told that there is no program

  /**
   * `command()` gives { program, args }, anew for each start, or throws { code }; `installed()` says whether our files
   * are still there; `push(message)` sends a message that nobody asked for and says what became of it; `missing` is what
   * to tell, once, where `command` throws the code "missing".
   */
  constructor(options) {
    this.#options = options;
  }

  /** Whether a child runs that is to be asked. */
  get ready() {
    return this.#child !== undefined && this.#options.installed();
  }

  start() {
    this.#stopped = false;
    this.#launch();
  }

  #launch() {
    clearTimeout(this.#restart);
    if (this.#stopped || this.#child || !this.#options.installed()) return;
    const { command, logger, health } = this.#options;
    let launch;
    try {
      launch = command();
    } catch (error) {
      return this.#again(error.code);
    }
    const child = spawn(launch.program, launch.args, { env: environment(), cwd: "/", stdio: ["pipe", "pipe", "pipe"] });
    const started = Date.now();
    this.#child = child;
    this.#missing = false;
    let gone = false;
    const ended = (why) => {
      if (gone) return;
      gone = true;
      for (const [id, wait] of [...this.#waiting]) if (wait.child === child) this.#settle(id, () => wait.reject({ code: why }));
      if (this.#child !== child) return; // stopped
      this.#child = undefined;
      if (Date.now() - started > STEADY_MS) this.#pause = FIRST_PAUSE_MS;
      this.#again(why);
    };
    child.on("error", (error) => ended(error.code ?? "error"));
    child.on("exit", (code, signal) => ended(signal ?? `exit ${code}`));
    child.on("spawn", () => health?.clearFailure());
    child.stdin.on("error", () => {}); // a child that is gone is seen by its exit
    createInterface({ input: child.stdout }).on("line", (line) => this.#take(line));
    createInterface({ input: child.stderr }).on("line", (line) => log(logger, line));
  }

  /** Says why no child runs, and tries again later. */
  #again(why) {
    const { logger, health, missing } = this.#options;
    const text = why === "missing" ? missing : `the program ended (${why}); next start in ${this.#pause / 1000} s`;
    if (!this.#missing) logger.warn(`sigilum-authz-notify: ${text}`);
    this.#missing = why === "missing";
    health?.reportFailure(new Error(text));
    this.#restart = setTimeout(() => this.#launch(), this.#pause);
    this.#restart.unref();
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** Sends one question; resolves with the child's answer. */
  ask(question) {
    // Stuck: its own budget is shorter.
    return this.#send(question, DEADLINE_MS, "deadline", (child) => child.kill("SIGKILL"));
  }

  /**
   * Sends a command of a chat; resolves with the child's answer, or within `ms` rejects with the code "busy", while the
   * child goes on. `confirm()` says whether the sender is an owner still, when the child asks for that.
   */
  converse(command, confirm, ms) {
    return this.#send({ command }, ms, "busy", undefined, confirm);
  }

  /** Rejects with the code `late` after `ms`; then `onLate` is called. */
  #send(question, ms, late, onLate, confirm) {
    this.#launch(); // nobody waits for the backoff
    const child = this.#child;
    if (!child) return Promise.reject({ code: this.#missing ? "missing" : "stopped" });
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle(id, (wait) => wait.reject({ code: late }));
        onLate?.(child);
      }, ms);
      this.#waiting.set(id, { child, resolve, reject, timer, confirm });
      this.#say(child, { id, ...question });
    });
  }

  async #confirm(id) {
    const { child, confirm } = this.#waiting.get(id) ?? {};
    if (!confirm) return;
    const confirmed = (await confirm()) && this.#waiting.has(id); // who was told to ask again has decided nothing
    this.#say(child, { id, confirmed });
  }

  #say(child, line) {
    child.stdin.write(`${JSON.stringify(line)}\n`);
  }

  /** Ends the child: by closing its standard input, then by force. Nothing starts until `start`. */
  async stop() {
    this.#stopped = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
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
    if (reply === null || typeof reply !== "object" || Array.isArray(reply)) return; // nor is this
    if (reply.confirm === true) return this.#confirm(reply.id);
    if (reply.push) return this.#push(reply.push);
    this.#settle(reply.id, (wait) => wait.resolve(reply));
  }

  async #push(message) {
    const child = this.#child;
    const { status, code } = await this.#options.push(message);
    if (child && this.#child === child) this.#say(child, { pushed: message.key, status, code });
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
