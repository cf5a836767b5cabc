// The plugin's index.js alone, registered as the versions of OpenClaw do it: twice, in another order, from a copy.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, mock, test } from "node:test";
import { pathToFileURL } from "node:url";
import { until, WORK } from "./lib/process.mjs";

const shared = () => globalThis[Symbol.for("sigilum-authz-notify")];

let dir;
let home;
let root; // where OpenClaw found the plugin
let logged;
let failed; // what the health was told
let started; // registered services that were started

beforeEach(() => {
  dir = mkdtempSync(join(WORK, "registration-"));
  home = join(dir, "home");
  root = join(home, ".sigilum/plugin");
  mkdirSync(root, { recursive: true });
  cpSync(join(process.env.E2E_ROOT, "hooks/plugin"), root, { recursive: true, dereference: true });
  // What OpenClaw puts in a plugin's way.
  const sdk = join(dir, "node_modules/openclaw");
  mkdirSync(sdk, { recursive: true });
  writeFileSync(join(sdk, "package.json"), '{"type":"module","exports":{"./plugin-sdk/plugin-entry":"./entry.js"}}');
  writeFileSync(join(sdk, "entry.js"), "export const definePluginEntry = (entry) => entry;");
  const program = join(dir, "program.mjs");
  writeFileSync(
    program,
    `#!${process.execPath}
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
appendFileSync(${JSON.stringify(join(dir, "starts"))}, JSON.stringify({ pid: process.pid, args: process.argv.slice(2) }) + "\\n");
const say = (line) => console.log(JSON.stringify(line));
if (process.argv[2] === "doctor") say({ findings: [{ state: "fail", text: "bad shape of " + process.argv.slice(4).join(" ") }] }), process.exit();
for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, confirmed } = JSON.parse(line);
  appendFileSync(${JSON.stringify(join(dir, "lines"))}, line + "\\n");
  const presentation = { blocks: [] };
  if (command?.text === "approve") say({ id, confirm: true });
  else if (command?.text === "silent") continue;
  else if (command?.text === "broken") say({ id, error: "an internal error", messages: [], logs: [] });
  else if (command) say({ id, reply: { text: command.text + " from " + process.pid, presentation }, messages: [], logs: ["told"] });
  else if (confirmed !== undefined) say({ id, reply: { text: "confirmed " + confirmed }, messages: [], logs: [] });
  else say({ id, messages: ["from " + process.pid], logs: [] });
}
`,
    { mode: 0o700 },
  );
  writeFileSync(join(root, "install.json"), JSON.stringify({ binary: program }), { mode: 0o600 });
  failed = [];
  logged = [];
  started = [];
});
afterEach(async () => {
  for (const service of started) await service.stop();
  rmSync(dir, { recursive: true });
});

/** Loads the plugin, another instance for another name, and registers it. */
async function register({ instance = "one", from = root, mode = "full" } = {}) {
  const { default: plugin } = await import(`${pathToFileURL(join(from, "index.js")).href}?${instance}`);
  const made = {};
  const logger = Object.fromEntries(["info", "warn", "error", "debug"].map((level) => [level, (line) => logged.push(line)]));
  const serviceHealth = { reportFailure: ({ message }) => failed.push(message), clearFailure() {} };
  plugin.register({
    registrationMode: mode,
    rootDir: root,
    logger,
    registerService: ({ start, stop }) => (made.service = { start: () => (started.push(made.service), start({ stateDir: join(dir, "moved"), logger, serviceHealth })), stop }),
    registerHook: (events, hook) => (made.hook = hook),
    registerCommand: (command) => (made.command = command),
    runtime: { agent: { session: { getSessionEntry: async ({ sessionKey }) => ({ chatType: sessionKey === "agent:main:main" ? "direct" : "group" }) } } },
  });
  return made;
}

/** /new in a direct chat: the messages. */
async function says(hook) {
  const event = { type: "command", action: "new", messages: [], context: { sessionEntry: { chatType: "direct" } } };
  await hook(event);
  return event.messages;
}
const starts = () => (existsSync(join(dir, "starts")) ? readFileSync(join(dir, "starts"), "utf8").trim().split("\n").map((line) => JSON.parse(line)) : []);
const alive = () => starts().map(({ pid }) => pid).filter((pid) => existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8")));

test("registered twice, the first one's service and the second one's hook: they share one child", async () => {
  const first = await register();
  const second = await register();
  await first.service.start();
  const { pid } = await until("a start", () => starts()[0]);
  assert.deepEqual(await says(second.hook), [`from ${pid}`]);
  assert.deepEqual(await says(first.hook), [`from ${pid}`]);
  assert.deepEqual(alive(), [pid]);
});

test("the health is that of the config which the home's record names", async () => {
  writeFileSync(join(home, ".sigilum/hook.json"), '{"config":"work.json"}', { mode: 0o600 });
  const { service } = await register();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    await service.start();
    mock.timers.tick(5000);
  } finally {
    mock.timers.reset();
  }
  const told = await until("doctor's word", () => failed[0]);
  assert.equal(told, `bad shape of --openclaw-home ${home} --config ${join(home, "work.json")}`);
});

test("another instance of the module finds the same child; one that only discovers registers the command alone", async () => {
  const first = await register();
  await first.service.start();
  const other = await register({ instance: "two" });
  assert.equal((await says(other.hook)).length, 1);
  const third = await register({ instance: "three", mode: "discovery" });
  assert.deepEqual(Object.keys(third), ["command"]);
  assert.match((await third.command.handler({ args: "list" })).text, /^list from \d+$/);
  assert.equal(starts().length, 1);
});

test("a command is handed over as facts, confirmed when it is asked for, and answered with text whatever comes of it", async () => {
  const { service, command } = await register();
  assert.deepEqual([command.name, command.acceptsArgs, command.requiredScopes], ["sigilum", true, ["operator.approvals"]]);
  const runsNot = async (sessionKey) => (await command.handler({ args: "list", sessionKey })).text;
  assert.equal(await runsNot("agent:main:main"), `Sigilum: the program does not run. In a terminal: sigilum-authz-notify hook status --openclaw-home '${home}'`);
  assert.equal(await runsNot("a group"), "Sigilum: the program does not run. In a terminal: sigilum-authz-notify hook status");
  await service.start();
  const lines = () => readFileSync(join(dir, "lines"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const person = { args: "list", channel: "telegram", senderId: "1", from: "telegram:1", sessionKey: "agent:main:main", accountId: "default" };
  const said = await command.handler({ ...person, senderIsOwner: true, assertOwnerCurrent() {}, config: { secret: "s" }, commandBody: "b" });
  assert.deepEqual(said, { text: `list from ${starts()[0].pid}`, presentation: { blocks: [] } });
  const { args, ...known } = person;
  const facts = { text: "list", ...known, chatType: "direct", senderIsOwner: true, canAssertOwner: true, gatewayClientScopes: null };
  assert.deepEqual(lines().at(-1).command, facts);
  assert.ok(logged.includes("sigilum-authz-notify: told"));
  // An old OpenClaw, a client of its gateway.
  await command.handler({ args: undefined, sessionKey: "agent:main:x", gatewayClientScopes: [] });
  assert.deepEqual(lines().at(-1).command, { text: "", sessionKey: "agent:main:x", chatType: "group", senderIsOwner: null, canAssertOwner: false, gatewayClientScopes: [] });

  const approve = async (assertOwnerCurrent) => (await command.handler({ ...person, args: "approve", assertOwnerCurrent })).text;
  assert.equal(await approve(() => {}), "confirmed true");
  assert.equal(await approve(async () => {}), "confirmed true");
  assert.equal(await approve(() => { throw new Error("no owner"); }), "confirmed false");
  assert.equal(await approve(async () => { throw new Error("no owner"); }), "confirmed false");
  assert.equal(await approve(undefined), "confirmed false");
  assert.match((await command.handler({ args: "broken" })).text, /^Sigilum: no answer \(an internal error\)\. In a terminal: /);
  const { pid } = starts()[0];
  assert.equal((await command.handler({ args: "silent" })).text, "Sigilum: still working, ask again: /sigilum list");
  // Who was told to ask again has decided nothing, however late the confirmation is; the child is not ended for it.
  const before = lines().length;
  const late = await approve(() => new Promise((resolve) => setTimeout(resolve, 4500)));
  assert.equal(late, "Sigilum: still working, ask again: /sigilum list");
  const answer = await until("the late confirmation", () => lines()[before + 1]);
  assert.equal(answer.confirmed, false);
  assert.deepEqual(alive(), [pid]);
  await service.stop();
  assert.match((await command.handler({ args: "list" })).text, /^Sigilum: the program does not run\./);
});

test("both services started: one child, whichever stops first", async () => {
  const first = await register();
  const second = await register();
  await first.service.start();
  await until("the first child", () => starts().length === 1);
  await second.service.start();
  await until("one child, the second", () => starts().length === 2 && alive().length === 1);
  await first.service.stop();
  assert.deepEqual(await says(first.hook), [`from ${starts()[1].pid}`]);
  await second.service.stop();
  await until("no child", () => alive().length === 0);
  assert.equal(shared().resident, undefined);
  assert.deepEqual(await says(second.hook), []);
  // A gateway that restarts in its own process.
  await first.service.start();
  assert.equal((await says(first.hook)).length, 1);
});

test("run from a copy, under a state folder that the config moved: the records where OpenClaw found it count", async () => {
  const copy = join(dir, "copy");
  cpSync(root, copy, { recursive: true });
  rmSync(join(copy, "install.json"));
  writeFileSync(join(home, "openclaw.json"), "{}");
  mkdirSync(join(dir, "moved/.sigilum"), { recursive: true });
  writeFileSync(join(dir, "moved/.sigilum/hook.json"), JSON.stringify({ binary: "/bin/false" }), { mode: 0o600 });
  const { service, hook } = await register({ from: copy });
  await service.start();
  assert.equal((await says(hook)).length, 1);
  assert.deepEqual(starts()[0].args, ["serve", "--stdio", "--openclaw-home", home]);
});

test("uninstalled under a gateway that goes on: silent, and the child ends; installed again: as before", async () => {
  const { service, hook } = await register();
  await service.start();
  assert.equal((await says(hook)).length, 1);
  assert.equal(shared().resident.ready, true);
  renameSync(root, `${root}.gone`);
  assert.equal(shared().resident.ready, false, "the hook of the same program answers");
  assert.deepEqual(await says(hook), []);
  renameSync(`${root}.gone`, root); // at once: the child that is ending is not asked
  assert.deepEqual(await says(hook), [`from ${starts()[1].pid}`]);
  await until("the end of the first child", () => alive().length === 1);
  assert.deepEqual(logged, []);
});
