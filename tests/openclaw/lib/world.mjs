// One throw-away person: a home with OpenClaw's state (the IRC plugin in it), a Sigilum API, an IRC server.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { SigilumApi } from "./api.mjs";
import { Gateway } from "./gateway.mjs";
import { freePort, Person, startIrcServer } from "./irc.mjs";
import { BINARY, OPENCLAW_ENTRY, ours, run, until, WORK } from "./process.mjs";

/** The JSON5 parser that OpenClaw itself uses. */
export const JSON5 = createRequire(OPENCLAW_ENTRY)("json5");

export const NAMESPACE = "alice-e2e";
export const HOOK = "sigilum-authz-notify";
export const PLUGIN = "sigilum-authz-notify";
/** All test homes are the same folder, as OpenClaw's records of the IRC plugin hold absolute paths. */
const HOME = join(WORK, "home");
const VERSION = process.env.OPENCLAW_VERSION;
/** Whether the OpenClaw under test is of this month of 2026 or later. */
export const since = (month) => Number(VERSION.split(".")[1]) >= month;

export class World {
  home = HOME;
  state = join(HOME, ".openclaw");
  config = join(this.state, "openclaw.json");
  tokenFile = join(this.state, ".sigilum", `owner-token-${NAMESPACE}.jwt`);
  /** What every process of this world has in its environment, so that none is missed at the end. */
  mark = `E2E_WORLD=${randomBytes(8).toString("hex")}`;
  /** The local API's signing secret; the binary gets it by environment, as a person would give it. */
  secret = randomBytes(24).toString("hex");
  people = [];
  /** Where programs are found. */
  path = process.env.PATH;
  /** What the gateways' environment has besides `env`. */
  gatewayEnv = {};
  #gateways = [];

  static async create() {
    const world = new World();
    await world.#restoreState();
    world.api = new SigilumApi(world.secret);
    await world.api.listen();
    world.irc = await startIrcServer(world.home);
    world.gatewayPort = await freePort();
    return world;
  }

  async close() {
    await this.gateway?.stop("SIGKILL");
    for (const person of this.people) person.close();
    await this.irc?.stop();
    await this.api?.close();
    for (const { pid } of ours()) process.kill(pid, "SIGKILL");
  }

  /** The environment of OpenClaw: nothing of the machine's but the Node of .work and the system's programs. */
  get env() {
    return {
      PATH: this.path,
      HOME: this.home,
      USER: "e2e",
      LANG: "C.UTF-8",
      TMPDIR: join(this.home, "tmp"),
      OPENCLAW_NO_RESPAWN: "1",
      OPENCLAW_DISABLE_BONJOUR: "1",
      OPENCLAW_NO_AUTO_UPDATE: "1",
      NO_COLOR: "1",
      E2E_WORLD: this.mark.split("=")[1],
    };
  }

  /** Runs the binary under test, as a person would. */
  sigilum(args, { env = {}, ...options } = {}) {
    return run(BINARY, args, { env: { ...this.env, JWT_SECRET: this.secret, ...env }, cwd: this.home, ...options });
  }

  /** Runs it and expects success; gives its standard output. */
  async sigilumOk(...args) {
    const ended = await this.sigilum(args);
    assert.equal(ended.code, 0, `${args.join(" ")}\n${ended.stdout}\n${ended.stderr}`);
    return ended.stdout;
  }

  login(...more) {
    const args = ["auth", "login", "--mode", "oss-local", "--namespace", NAMESPACE, "--api-url", this.api.url, "--print-token", "false"];
    return this.sigilumOk(...args, ...more);
  }

  /** An owner token as the account page of the hosted Sigilum would show it. */
  async ownerToken() {
    const home = join(this.home, "elsewhere");
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const args = ["auth", "login", "--mode", "oss-local", "--namespace", NAMESPACE, "--api-url", this.api.url, "--token-only"];
    const { code, stdout, stderr } = await run(BINARY, args, { env: { HOME: home, PATH: "", JWT_SECRET: this.secret } });
    assert.equal(code, 0, stderr);
    rmSync(home, { recursive: true });
    return stdout.trim();
  }

  refresh(...more) {
    return this.sigilumOk("auth", "refresh", "--namespace", NAMESPACE, "--print-token", "false", ...more);
  }

  /** Writes the program into the home's record, as a login of the program's own would; undefined takes it out. */
  record(binary) {
    const file = join(this.state, ".sigilum", "hook.json");
    const before = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { namespace: NAMESPACE };
    writeFileSync(file, JSON.stringify({ ...before, binary }), { mode: 0o600 });
  }

  /** Runs OpenClaw's command line. */
  openclaw(...args) {
    return run(process.execPath, [OPENCLAW_ENTRY, ...args], { env: this.env, cwd: this.home });
  }

  /** Runs it and expects success; gives its standard output. */
  async openclawOk(...args) {
    const ended = await this.openclaw(...args);
    assert.equal(ended.code, 0, `openclaw ${args.join(" ")}\n${ended.stdout}\n${ended.stderr}`);
    return ended.stdout;
  }

  async openclawJson(...args) {
    return JSON.parse(await this.openclawOk(...args, "--json"));
  }

  async boot() {
    this.gateway = await Gateway.boot(this);
    this.#gateways.push(this.gateway);
    return this.gateway;
  }

  /** Ends the gateway, if one runs, does something, and starts another. The people come anew. */
  async restart(change = () => {}) {
    await this.gateway?.stop("SIGTERM");
    for (const person of this.people.splice(0)) person.close();
    await change();
    return this.boot();
  }

  /** Does what starts the plugin, and waits until its `doctor`, seconds later, has asked the API: once, and is gone. */
  async pluginStarts(action) {
    const asked = this.api.requests.length;
    await action();
    await until("doctor's look", () => this.api.requests.length > asked && ours().length === 1, { timeout: 60_000 });
  }

  /** What all gateways of this world have written to their terminals. */
  gatewayLogs() {
    return this.#gateways.map(({ log }) => log).join("\n");
  }

  async person(nick) {
    const person = await Person.connect(this.irc.port, nick);
    this.people.push(person);
    await person.sees("ocbot");
    return person;
  }

  text() {
    return readFileSync(this.config, "utf8");
  }

  value() {
    return JSON5.parse(this.text());
  }

  entry() {
    return this.value().hooks?.internal?.entries?.[HOOK];
  }

  token() {
    return readFileSync(this.tokenFile, "utf8").trim();
  }

  /** An editor's save: a new file over the old one. */
  save(text) {
    writeFileSync(`${this.config}.editor`, text, { mode: 0o600 });
    renameSync(`${this.config}.editor`, this.config);
  }

  /**
   * Writes openclaw.json as a person would: JSON5 with comments. `hooks` is the text of the member, comma included.
   * It has the `meta` that OpenClaw's own writes leave: without it, OpenClaw would put back its backup.
   */
  writeConfig({ hooks = "", more = "" } = {}) {
    this.save(`// Alice's gateway. Comments here are hers: nobody may lose them.
{
  gateway: {
    mode: 'local', bind: 'loopback',
    port: ${this.gatewayPort},  // loopback only
    auth: { mode: 'token', token: 'e2e-gateway-token' },
    controlUi: { enabled: false },
  },
  /* quiet: no request leaves
     this machine */
  logging: { level: 'debug', file: '${join(this.state, "openclaw.log")}' },
  update: { checkOnStart: false },
  discovery: { mdns: { mode: 'off' } },${since(8) ? "\n  telemetry: { enabled: false }, models: { catalogRefresh: { enabled: false } }," : ""}
  cron: { enabled: false },
  browser: { enabled: false },
  agents: { defaults: { heartbeat: { every: "0m" } } },
${hooks}  plugins: { entries: { irc: { enabled: true } } },
  channels: {
    irc: {
      enabled: true, host: '127.0.0.1', port: ${this.irc.port}, tls: false,
      nick: 'ocbot',
      dmPolicy: 'open', allowFrom: ['*'],
      channels: ['#ops'],
      groupPolicy: 'open', // the bot's own second connection is nobody to answer
      groups: { '#ops': { requireMention: false, allowFrom: ['carol!~carol@127.0.0.1'] } },
    },
  },
${more}  meta: { lastTouchedVersion: '${VERSION}' },
}
// the last line is a comment too
`);
  }

  /**
   * A hook of the test's own, another user's hook as far as ours is concerned: it notes what OpenClaw brings, and
   * when a later handler adds a message. `observed()` gives the notes.
   */
  installObserver() {
    const folder = join(this.state, "hooks", "e2e-observer");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(
      join(folder, "HOOK.md"),
      '---\nname: e2e-observer\ndescription: "Notes events for a test"\nmetadata: { "openclaw": { "events": ["command"] } }\n---\n',
    );
    writeFileSync(join(folder, "package.json"), '{"type":"module"}\n');
    writeFileSync(join(folder, "handler.js"), observer(this.#notes));
  }

  /** Types /new `times` times to the bot and measures, in ms: `chat`, what the person waits for, and `added`, what
   *  ours took from OpenClaw's call to the message, less the API's answer. Needs the observer. */
  async latency(person, times) {
    const chat = [];
    const added = [];
    for (let i = 0; i < times; i++) {
      const requests = this.api.requests.length;
      const notes = this.observed().length;
      const { took, text } = await person.ask("ocbot", "/new", { quiet: 400 });
      assert.match(text, /^Sigilum: 1 request waits/);
      const message = this.observed().slice(notes).find(({ kind }) => kind === "message");
      chat.push(took);
      added.push(message.took - this.api.requests[requests].took);
    }
    return { chat, added };
  }

  /** The names of the directory hooks of the newest generation that the gateway loaded. */
  hooks() {
    const lines = readFileSync(join(this.state, "openclaw.log"), "utf8").split("\n").filter(Boolean);
    const names = lines.flatMap((line) => /^(?:Prepared|Registered) hook: (\S+) ->/.exec(JSON.parse(line)[1])?.[1] ?? []);
    return names.slice(names.lastIndexOf(names[0])).sort();
  }

  get #notes() {
    return join(this.home, "observed.jsonl");
  }

  observed() {
    if (!existsSync(this.#notes)) return [];
    return readFileSync(this.#notes, "utf8").trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  /** Puts back the state folder that has nothing but the IRC plugin, which OpenClaw itself installed, once. */
  async #restoreState() {
    const kept = join(WORK, `home.kept-${VERSION}`);
    const stamp = `${VERSION} ${process.env.IRC_VERSION} ${HOME}`;
    const stampFile = join(kept, "stamp");
    const fresh = () => {
      rmSync(HOME, { recursive: true, force: true });
      mkdirSync(join(HOME, "tmp"), { recursive: true, mode: 0o700 });
    };
    if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) {
      rmSync(kept, { recursive: true, force: true });
      fresh();
      mkdirSync(this.state, { mode: 0o700 });
      writeFileSync(this.config, '{"gateway":{"mode":"local","bind":"loopback"}}\n', { mode: 0o600 });
      if (process.env.IRC_VERSION) {
        const env = { ...process.env, ...this.env }; // npm may need the machine's registry, proxy and certificates
        const args = [OPENCLAW_ENTRY, "plugins", "install", `@openclaw/irc@${process.env.IRC_VERSION}`, ...(since(8) ? ["--accept-capabilities"] : [])];
        const ended = await run(process.execPath, args, { env, cwd: HOME });
        assert.equal(ended.code, 0, `the IRC plugin could not be installed\n${ended.stdout}\n${ended.stderr}`);
      }
      rmSync(join(HOME, ".npm"), { recursive: true, force: true });
      mkdirSync(kept);
      cpSync(HOME, join(kept, "home"), { recursive: true, verbatimSymlinks: true });
      writeFileSync(stampFile, stamp);
    }
    fresh();
    cpSync(join(kept, "home"), HOME, { recursive: true, verbatimSymlinks: true });
  }

}

/** The comments of a JSON5 text; a URL's `//` is none. */
export function comments(text) {
  return text.match(/(?<!:)\/\/.*$|\/\*[^]*?\*\//gm) ?? [];
}

function observer(file) {
  return `import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
const note = (line) => appendFileSync(${JSON.stringify(file)}, JSON.stringify(line) + "\\n");
export default async function observe(event) {
  if (event.type !== "command" || !["new", "reset"].includes(event.action)) return;
  const began = performance.now();
  const entry = event.context?.cfg?.hooks?.internal?.entries?.[${JSON.stringify(HOOK)}];
  const token = entry?.env?.SIGILUM_OWNER_TOKEN;
  const seen = { chatType: event.context?.sessionEntry?.chatType, sessionKey: event.sessionKey };
  const environment = { ...process.env };
  note({ kind: "event", ...seen, environment, token: token && createHash("sha256").update(token).digest("hex") });
  const push = event.messages.push;
  event.messages.push = function (...messages) {
    if (messages.length > 0) note({ kind: "message", took: performance.now() - began, messages });
    return push.apply(this, messages);
  };
}
`;
}
