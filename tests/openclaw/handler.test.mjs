// handler.js alone, with programs that behave and programs that do not.
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import { until, WORK } from "./lib/process.mjs";

const SOURCE = join(process.env.E2E_ROOT, "hooks/sigilum-authz-notify");
const SHARED = Symbol.for("sigilum-authz-notify");
const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0ZXN0In0.owner-token-signature";

let dir;
let state;
let handle;
let printed;
const environment = { ...process.env };

beforeEach(async (t) => {
  dir = mkdtempSync(join(WORK, "handler-"));
  state = join(dir, "state");
  const hook = join(state, "hooks/sigilum-authz-notify");
  mkdirSync(hook, { recursive: true });
  for (const file of ["handler.js", "package.json"]) copyFileSync(join(SOURCE, file), join(hook, file));
  writeFileSync(join(state, "openclaw.json"), "{}");
  handle = (await import(pathToFileURL(join(hook, "handler.js")).href)).default;
  delete globalThis[SHARED]?.resident;
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
    `cat >${note("input")}; env >${note("env")}; tr '\\0' '\\n' </proc/$$/cmdline >${note("args")}; pwd >${note("cwd")}
echo '{"messages":["from ${name}"],"logs":["a log line"]}'`,
  );
}
const noted = (what, name = "witness") => readFileSync(join(dir, `${name}.${what}`), "utf8");

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

test("the question goes by standard input, and nothing else leaves", async () => {
  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = witness();
  Object.assign(process.env, { SIGILUM_OWNER_TOKEN: TOKEN, JWT_SECRET: "signing-secret", OTHER_API_KEY: "key", SIGILUM_NOTIFY_GROUPS: "off" });
  const asked = event();
  await handle(asked);
  assert.deepEqual(asked.messages, ["from witness"]);
  assert.match(printed, /\[sigilum-authz-notify\] a log line/);
  assert.deepEqual(JSON.parse(noted("input")), {
    type: "command",
    action: "new",
    sessionKey: "agent:main:main",
    chatType: "direct",
    senderId: "alice!~alice@host",
    commandSource: "irc",
    home: state,
    env: { SIGILUM_NAMESPACE: "alice", SIGILUM_OWNER_TOKEN: TOKEN },
    token: TOKEN,
  });
  assert.deepEqual(noted("args").trim().split("\n").slice(-2), ["hook", "run"]);
  assert.doesNotMatch(noted("env") + noted("args"), /eyJ|signing-secret|OTHER_API_KEY/);
  assert.match(noted("env"), /^SIGILUM_NOTIFY_GROUPS=off$/m);
});

test("events that are not ours start nothing", async () => {
  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = witness();
  for (const other of [{ action: "stop" }, { type: "message", action: "received" }, { type: undefined }]) await handle(event(other));
  for (const nothing of [undefined, null, {}, "text"]) await handle(nothing);
  assert.ok(!existsSync(join(dir, "witness.args")));
  assert.equal(printed, "");
});

test("gateway:startup is handed on, without a chat", async () => {
  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = witness();
  await handle(event({ type: "gateway", action: "startup", context: {} }));
  assert.deepEqual(JSON.parse(noted("input")), { type: "gateway", action: "startup", sessionKey: "agent:main:main", home: state, env: {} });
});

test("the program: environment, then the recorded path, then PATH", async () => {
  const record = join(state, "hooks/sigilum-authz-notify/install.json");
  const says = async () => {
    const asked = event();
    await handle(asked);
    return asked.messages[0];
  };
  witness("sigilum-authz-notify");
  process.env.PATH = `.:relative:${dir}:${environment.PATH}`;
  assert.equal(await says(), "from sigilum-authz-notify");
  writeFileSync(record, JSON.stringify({ binary: witness("recorded") }), { mode: 0o600 });
  assert.equal(await says(), "from recorded");
  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = witness("named");
  assert.equal(await says(), "from named");
  const fromConfig = event();
  delete process.env.SIGILUM_AUTHZ_NOTIFY_BIN;
  fromConfig.context.cfg.hooks.internal.entries["sigilum-authz-notify"].env.SIGILUM_AUTHZ_NOTIFY_BIN = witness("config");
  await handle(fromConfig);
  assert.deepEqual(fromConfig.messages, ["from recorded"]);

  chmodSync(record, 0o622);
  assert.equal(await says(), "from sigilum-authz-notify", "others may write the record");
  rmSync(record);
  writeFileSync(join(dir, "elsewhere.json"), JSON.stringify({ binary: witness("linked") }), { mode: 0o600 });
  symlinkSync(join(dir, "elsewhere.json"), record);
  assert.equal(await says(), "from sigilum-authz-notify", "the record is a link");
  rmSync(record);
  const right = JSON.stringify({ binary: join(dir, "recorded") });
  const wrong = ["recorded", "../recorded", join(dir, "gone"), 7, null].map((binary) => JSON.stringify({ binary }));
  for (const text of [...wrong, "", "null", "[]", right.slice(0, -1)]) {
    writeFileSync(record, text, { mode: 0o600 });
    assert.equal(await says(), "from sigilum-authz-notify", `recorded as ${text}`);
  }
  writeFileSync(record, right);
  assert.equal(await says(), "from recorded");
});

test("programs that do not behave: no message, no exception, one line without what they wrote", async () => {
  const bad = {
    missing: join(dir, "missing"),
    "a folder": dir,
    "exit 3": program("exit-3", `echo '{"messages":["m"],"logs":[]}'; echo ${TOKEN} >&2; exit 3`),
    "no JSON": program("no-json", `cat; echo "${TOKEN}"`),
    "cut JSON": program("cut-json", `echo '{"messages":["${TOKEN}'`),
    null: program("null", "echo null"),
    "deaf, and gone at once": program("deaf", "exec <&-; exit 1"),
    "too long": program("too-long", "yes '{\"messages\":[\"m\"]}'"),
    killed: program("killed", "kill -9 $$"),
  };
  for (const [what, file] of Object.entries(bad)) {
    process.env.SIGILUM_AUTHZ_NOTIFY_BIN = file;
    printed = "";
    const asked = event();
    await handle(asked);
    assert.deepEqual(asked.messages, [], what);
    assert.match(printed, /^\[sigilum-authz-notify\] no answer: .{1,60}\n$/, what);
    assert.doesNotMatch(printed, /eyJ/, what);
  }
});

test("answers of the wrong shape add nothing", async () => {
  for (const answer of ["{}", '{"messages":"m","logs":7}', '{"messages":[1,null,{"a":1}],"logs":[[]]}', "[]"]) {
    process.env.SIGILUM_AUTHZ_NOTIFY_BIN = program("shape", `cat >/dev/null; echo '${answer}'`);
    const asked = event();
    await handle(asked);
    assert.deepEqual(asked.messages, [], answer);
  }
  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = witness();
  for (const broken of [{ messages: undefined }, { context: undefined }, { context: null }]) await handle(event(broken));
});

test("a program that hangs is killed after 5 s, its children's hold on the pipe notwithstanding", async () => {
  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = program("hangs", `echo $$ >${dir}/pid; sleep 8 & wait`);
  const began = Date.now();
  const asked = event();
  await handle(asked);
  const took = Date.now() - began;
  assert.ok(took >= 4900 && took < 6500, `${took} ms`);
  assert.deepEqual(asked.messages, []);
  assert.match(printed, /deadline/);
  const pid = Number(readFileSync(join(dir, "pid"), "utf8"));
  await until("the end of the program", () => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8")));
});

test("with the plugin in the same gateway: one answer", async () => {
  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = witness();
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

  process.env.SIGILUM_AUTHZ_NOTIFY_BIN = join(dir, "missing");
  const third = event();
  await handle(third);
  assert.ok(!globalThis[SHARED].answered.has(third.messages), "nothing was said: the plugin may");
});
