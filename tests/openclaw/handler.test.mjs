// handler.js alone, with programs that behave and programs that do not.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import { until, WORK } from "./lib/process.mjs";

const SOURCE = join(process.env.E2E_ROOT, "hooks/sigilum-authz-notify");
const SHARED = Symbol.for("sigilum-authz-notify");
const SEE_THE_LOG = "The operator must act; the OpenClaw gateway's log says how.";
const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0ZXN0In0.owner-token-signature";

let dir;
let state;
let hook; // the folder of the installed hook
let handle;
let printed;
const environment = { ...process.env };

beforeEach(async (t) => {
  dir = mkdtempSync(join(WORK, "handler-"));
  state = join(dir, "a person's state");
  hook = join(state, "hooks/sigilum-authz-notify");
  mkdirSync(hook, { recursive: true });
  for (const file of ["handler.js", "package.json"]) copyFileSync(join(SOURCE, file), join(hook, file));
  writeFileSync(join(state, "openclaw.json"), "{}");
  handle = (await import(pathToFileURL(join(hook, "handler.js")).href)).default;
  delete globalThis[SHARED].resident;
  printed = "";
  for (const level of ["log", "warn", "error", "info"]) t.mock.method(console, level, (...text) => (printed += `${text.join(" ")}\n`));
});

afterEach(() => {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  rmSync(dir, { recursive: true });
});

/** An executable shell script. */
function program(name, script) {
  const file = join(dir, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return file;
}

/** One that notes what it was given and answers. */
function witness(name = "witness") {
  const note = (what) => `${dir}/${name}.${what}`;
  return program(
    name,
    `cat >${note("input")}; cat /proc/$$/environ >${note("environ")}; cat /proc/$$/cmdline >${note("args")}; pwd >${note("cwd")}
echo '{"messages":["from ${name}"],"logs":["a log line"]}'`,
  );
}
const noted = (what, name = "witness") => readFileSync(join(dir, `${name}.${what}`), "utf8");
const list = (what) => noted(what).split("\0").slice(0, -1);

/** Records as `hook install` and `auth login` leave them. */
const installed = () => join(hook, "install.json");
const kept = () => join(state, ".sigilum/hook.json");
const record = (binary, more = {}, file = installed()) => recordText(JSON.stringify({ binary, ...more }), file);
function recordText(text, file) {
  mkdirSync(join(file, ".."), { recursive: true });
  rmSync(file, { force: true });
  writeFileSync(file, text, { mode: 0o600 });
}

function event(over = {}) {
  const entry = { enabled: true, env: { SIGILUM_NAMESPACE: "alice", SIGILUM_OWNER_TOKEN: TOKEN, NUMBER: 7 } };
  return {
    type: "command",
    action: "new",
    sessionKey: "agent:main:main",
    messages: [],
    context: {
      cfg: {
        gateway: { auth: { token: "gateway-secret" } },
        hooks: { internal: { entries: { "sigilum-authz-notify": entry, other: { env: { KEY: "other-secret" } } } } },
      },
      sessionEntry: { chatType: "direct", sessionId: "not for us" },
      previousSessionEntry: { text: "what was said before" },
      senderId: "alice!~alice@host",
      commandSource: "irc",
    },
    ...over,
  };
}

/** What an agent can put into the gateway's environment, by `env` and `env.vars` of openclaw.json among other ways. */
function hostileEnvironment() {
  const bad = program("bad", `echo '{"messages":["from bad"],"logs":[]}'`);
  copyFileSync(bad, join(dir, "sigilum-authz-notify"));
  Object.assign(process.env, {
    SIGILUM_AUTHZ_NOTIFY_BIN: bad,
    SIGILUM_API_URL: "http://127.0.0.1:1",
    SIGILUM_ALLOW_INSECURE_HTTP: "1",
    SIGILUM_NOTIFY_GROUPS: "full",
    SIGILUM_OWNER_TOKEN: TOKEN,
    SIGILUM_OWNER_TOKEN_COMMAND: bad,
    OPENCLAW_HOME: dir,
    OPENCLAW_STATE_DIR: dir,
    OPENCLAW_CONFIG_PATH: join(dir, "openclaw.json"),
    JWT_SECRET: "signing-secret",
    HTTPS_PROXY: "http://127.0.0.1:1",
    https_proxy: "http://127.0.0.1:1",
    SSL_CERT_FILE: join(dir, "ca.pem"),
    RUST_LOG: "trace",
    USER: "mallory",
    HOME: dir,
    PATH: `${dir}:.:${environment.PATH}`,
  });
}

/** Hands an event over, as /new in a direct chat if nothing else is said, and gives the messages. */
async function says(over) {
  const asked = event(over);
  await handle(asked);
  return asked.messages;
}
const inGroup = () => ({ context: { ...event().context, sessionEntry: { chatType: "group" } } });

test("the question goes by standard input, and nothing else leaves: no token, no setting, no variable", async () => {
  hostileEnvironment();
  record(witness());
  assert.deepEqual(await says(), ["from witness"]);
  assert.match(printed, /\[sigilum-authz-notify\] a log line/);
  assert.deepEqual(JSON.parse(noted("input")), {
    type: "command",
    action: "new",
    sessionKey: "agent:main:main",
    chatType: "direct",
    senderId: "alice!~alice@host",
    commandSource: "irc",
  });
  assert.deepEqual(list("args").slice(-4), ["hook", "run", "--openclaw-home", state]);
  assert.deepEqual(list("environ").sort(), [`HOME=${userInfo().homedir}`, "PATH=/usr/local/bin:/usr/bin:/bin"]);
  assert.equal(noted("cwd"), "/\n");
});

test("events that are not ours start nothing", async () => {
  record(witness());
  for (const other of [{ action: "stop" }, { type: "message", action: "received" }, { type: undefined }]) await handle(event(other));
  for (const nothing of [undefined, null, {}, "text"]) await handle(nothing);
  assert.ok(!existsSync(join(dir, "witness.args")));
  assert.equal(printed, "");
});

test("gateway:startup is handed on, without a chat", async () => {
  record(witness());
  await handle(event({ type: "gateway", action: "startup", context: {} }));
  assert.deepEqual(JSON.parse(noted("input")), { type: "gateway", action: "startup", sessionKey: "agent:main:main" });
});

test("a record says which home; the config is the program's to find, by the home's own record", async () => {
  record(witness(), { home: "/some/home", config: "/some/config.json" });
  await says();
  assert.deepEqual(list("args").slice(-4), ["hook", "run", "--openclaw-home", "/some/home"]);
  record(witness(), { home: "relative", config: 7 });
  await says();
  assert.deepEqual(list("args").slice(-4), ["hook", "run", "--openclaw-home", state]);
  rmSync(installed());
  record(witness(), { config: "/some/config.json" }, kept());
  await says();
  assert.deepEqual(list("args").slice(-4), ["hook", "run", "--openclaw-home", state]);
});

test("the program: of install.json, else of the home's hook.json, and of nothing else", async () => {
  hostileEnvironment();
  const fromConfig = event();
  fromConfig.context.cfg.hooks.internal.entries["sigilum-authz-notify"].env.SIGILUM_AUTHZ_NOTIFY_BIN = witness("config");
  await handle(fromConfig);
  assert.match(fromConfig.messages[0], /program sigilum-authz-notify is missing/);

  // Each record alone, then what makes it count for nothing.
  for (const file of [installed(), kept()]) {
    const refused = async (what) => {
      assert.match((await says())[0], /is missing/, `${file} ${what}`);
    };
    const right = witness("recorded");
    record(right, {}, file);
    assert.deepEqual(await says(), ["from recorded"], file);
    chmodSync(file, 0o602);
    await refused("everybody may write it");
    if (process.getuid() === 0) {
      chmodSync(file, 0o660);
      assert.deepEqual(await says(), ["from recorded"], "group 0 is root's, and a kubelet lets it write");
      chownSync(file, 0, 65534);
      chmodSync(file, 0o620);
      await refused("a group that is not ours may write it");
      chownSync(file, 65534, 0);
      chmodSync(file, 0o600);
      await refused("belongs to somebody else");
    }
    rmSync(file);
    record(right, {}, join(dir, "elsewhere.json"));
    symlinkSync(join(dir, "elsewhere.json"), file);
    await refused("is a link");
    for (const binary of ["recorded", "../recorded", join(dir, "gone"), dir, 7, null]) {
      record(binary, {}, file);
      await refused(`names ${binary}`);
    }
    for (const text of ["", "null", "[]", JSON.stringify({ binary: right }).slice(0, -1)]) {
      recordText(text, file);
      await refused(`holds ${text}`);
    }
    rmSync(file);
  }

  record(witness("kept"), {}, kept());
  record(join(dir, "gone"));
  assert.deepEqual(await says(), ["from kept"], "what install.json names is gone");
  record(witness("recorded"));
  assert.deepEqual(await says(), ["from recorded"]);
});

test("no program: said to each who types /new in a direct chat, each time, and in the log how to get it; nothing in a group", async () => {
  const log = () => printed.trim().split("\n");
  assert.deepEqual(await says(inGroup()), []);
  const [text, ...more] = await says();
  assert.deepEqual(more, []);
  // Nobody knows whether it is the owner: no path of this machine.
  assert.equal(text, `Sigilum: the program sigilum-authz-notify is missing, so requests that wait for approval cannot be shown. ${SEE_THE_LOG}`);
  const [logged] = log();
  assert.match(logged, /cargo install --locked --path \.\); then run: sigilum-authz-notify hook install --openclaw-home '[^']*a person'\\''s state'$/);
  // As a person types it, it is for this home.
  program("sigilum-authz-notify", `printf '%s\\n' "$@" >${dir}/typed`);
  execFileSync("/bin/sh", ["-c", logged.split("then run: ")[1]], { env: { PATH: `${dir}:/usr/bin:/bin` } });
  assert.deepEqual(readFileSync(join(dir, "typed"), "utf8").trim().split("\n"), ["hook", "install", "--openclaw-home", state]);
  assert.doesNotMatch(logged, /npm|crates/, "no package that nobody has published");
  assert.deepEqual(await says(), [text], "silence would read as if nothing waited");
  for (const sessionKey of [undefined, "agent:main:irc:group:#ops", "agent:main:irc:default:group:direct", "agent:main:", "global"])
    assert.deepEqual(await says({ sessionKey }), [], sessionKey);
  for (const sessionKey of ["agent:main:direct:alice", "agent:main:irc:default:dm:alice"])
    assert.deepEqual(await says({ sessionKey }), [text], sessionKey);
  assert.equal(log().length, 10);
  for (const line of log()) assert.match(line, /is missing.*hook install --openclaw-home '[^']*a person'\\''s state'$/);
  record(witness());
  assert.deepEqual(await says(), ["from witness"]);
});

test("a question that was turned away is told as one without an answer", async () => {
  const turnedAway = { error: "16 events are being answered already", messages: [], logs: ["could not answer the event: 16 …"] };
  record(program("busy", `cat >/dev/null; echo '${JSON.stringify(turnedAway)}'`));
  const [text, ...more] = await says();
  assert.deepEqual(more, []);
  const busy = "Sigilum could not be asked: no answer from sigilum-authz-notify (16 events are being answered already).";
  assert.equal(text, `${busy} Ask again in a moment.`);
  assert.match(printed, /no answer: 16 events are being answered already; see: /);
  assert.deepEqual(await says(inGroup()), []);
});

test("uninstalled under a gateway that goes on: silent", async () => {
  record(witness());
  rmSync(join(hook, "handler.js"));
  assert.deepEqual(await says(), []);
  assert.ok(!existsSync(join(dir, "witness.args")));
  assert.equal(printed, "");
});

test("programs that do not behave: one line without what they wrote, and nothing in a group; no exception", async () => {
  const bad = {
    "exit 3": program("exit-3", `echo '{"messages":["m"],"logs":[]}'; echo ${TOKEN} >&2; exit 3`),
    "no JSON": program("no-json", `cat; echo "${TOKEN}"`),
    "cut JSON": program("cut-json", `echo '{"messages":["${TOKEN}'`),
    null: program("null", "echo null"),
    "deaf, and gone at once": program("deaf", "exec <&-; exit 1"),
    "too long": program("too-long", "yes '{\"messages\":[\"m\"]}'"),
    killed: program("killed", "kill -9 $$"),
    "not a program": join(state, "openclaw.json"),
  };
  const inWords = { "exit 3": "exit 3", "no JSON": "not a JSON answer", killed: "killed by SIGKILL", "not a program": "no permission to run it" };
  for (const [what, file] of Object.entries(bad)) {
    record(file);
    printed = "";
    const messages = await says();
    assert.equal(messages.length, 1, what);
    assert.match(messages[0], /^Sigilum could not be asked: no answer from sigilum-authz-notify \(.{1,24}\)\. [^/]*$/, what);
    assert.ok(messages[0].endsWith(SEE_THE_LOG), messages[0]);
    if (what in inWords) assert.ok(messages[0].includes(`(${inWords[what]})`), messages[0]);
    assert.match(printed, /^\[sigilum-authz-notify\] no answer: .{1,20}; see: sigilum-authz-notify hook status --openclaw-home .*\n$/, what);
    assert.doesNotMatch(printed + messages, /eyJ/, what);
    assert.deepEqual(await says(inGroup()), [], what);
  }
});

test("answers of the wrong shape add nothing", async () => {
  for (const answer of ["{}", '{"messages":"m","logs":7}', '{"messages":[1,null,{"a":1}],"logs":[[]]}', "[]"]) {
    record(program("shape", `cat >/dev/null; echo '${answer}'`));
    assert.deepEqual(await says(), [], answer);
  }
  record(witness());
  for (const broken of [{ messages: undefined }, { context: undefined }, { context: null }]) await handle(event(broken));
});

test("a program that hangs is killed after 5 s, its children's hold on the pipe notwithstanding", async () => {
  record(program("hangs", `echo $$ >${dir}/pid; sleep 8 & wait`));
  const began = Date.now();
  const messages = await says();
  const took = Date.now() - began;
  assert.ok(took >= 4900 && took < 6500, `${took} ms`);
  assert.match(messages[0], /could not be asked.*\(none within 5 s\)/);
  assert.equal(messages.length, 1);
  assert.match(printed, /deadline/);
  const pid = Number(readFileSync(join(dir, "pid"), "utf8"));
  await until("the end of the program", () => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8")));
});

test("with the plugin in the same gateway: one answer", async () => {
  record(witness());
  const first = event();
  await handle(first);
  await handle({ ...first });
  assert.deepEqual(first.messages, ["from witness"], "a copy of the event, as plugins get it, is the same event");

  globalThis[SHARED].resident = { ready: true };
  const second = event();
  await handle(second);
  assert.deepEqual(second.messages, [], "the plugin's child runs: it will answer");
  globalThis[SHARED].resident = { ready: false };
  await handle(second);
  assert.deepEqual(second.messages, ["from witness"], "the plugin's child is down: we answer");

  record(join(dir, "missing"));
  const third = event(inGroup());
  await handle(third);
  assert.ok(!globalThis[SHARED].answered.has(third.messages), "nothing was said: the plugin may");
  const fourth = event();
  await handle(fourth);
  assert.ok(globalThis[SHARED].answered.has(fourth.messages), "something was said: the plugin is silent");
});
