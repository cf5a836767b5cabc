// The plugin's keeper of its child, with children that behave and children that do not.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until, WORK } from "./lib/process.mjs";

const { Resident } = await import(join(process.env.E2E_ROOT, "hooks/plugin/resident.js"));

let dir;
let resident;
let logged;
let health;
let program; // what the records name
let there; // whether our files are

beforeEach(() => {
  dir = mkdtempSync(join(WORK, "resident-"));
  logged = [];
  health = [];
  program = process.execPath;
  there = true;
});
afterEach(async () => {
  await resident?.stop();
  rmSync(dir, { recursive: true });
});

/** A keeper of a child that runs the text as a module; `lines` in it yields the lines of its standard input. */
function keep(text) {
  const file = join(dir, "child.mjs");
  writeFileSync(
    file,
    `import { createInterface } from "node:readline";
const say = (value) => console.log(typeof value === "string" ? value : JSON.stringify(value));
const lines = createInterface({ input: process.stdin });
${text}
`,
  );
  const logger = Object.fromEntries(["info", "warn", "error", "debug"].map((level) => [level, (line) => logged.push(`${level}: ${line}`)]));
  const serviceHealth = { reportFailure: ({ message }) => health.push(message), clearFailure: () => health.push("fine") };
  const command = () => {
    if (!program) throw { code: "missing" };
    return { program, args: [file] };
  };
  resident = new Resident({ command, installed: () => there, missing: "the program is missing", logger, health: serviceHealth });
  resident.start();
}
const ANSWERS = 'for await (const line of lines) { const { id, n } = JSON.parse(line); say({ id, messages: [`${n} by ${process.pid}`], logs: [] }); }';
const rejected = (promise) => promise.then(() => assert.fail("answered"), ({ code }) => code);

test("one child answers many, in whatever order", async () => {
  keep('const held = []; for await (const line of lines) { held.push(JSON.parse(line)); if (held.length === 3) for (const { id, n } of held.reverse()) say({ id, messages: [n], logs: [] }); }');
  const answers = await Promise.all([1, 2, 3].map((n) => resident.ask({ n })));
  assert.deepEqual(answers.map(({ messages }) => messages[0]), [1, 2, 3]);
  assert.deepEqual(health, ["fine"]);
});

test("lines that are no answers are passed over", async () => {
  keep('for await (const line of lines) { const { id } = JSON.parse(line); for (const noise of ["", "text", "null", "{", "[1]", { id: 99 }, { id: "1" }, "x".repeat(100_000)]) say(noise); say({ id, messages: ["right"], logs: [] }); }');
  assert.deepEqual((await resident.ask({})).messages, ["right"]);
});

test("its log lines reach the logger with their level", async () => {
  keep(`for (const line of ["2026-11-22T10:00:00Z  WARN disk full", "T INFO ready", "error: plain", "T DEBUG detail"]) console.error(line); ${ANSWERS}`);
  await resident.ask({ n: 1 });
  await until("the log", () => logged.length >= 4);
  assert.deepEqual(logged, [
    "warn: sigilum-authz-notify: disk full",
    "info: sigilum-authz-notify: ready",
    "info: sigilum-authz-notify: error: plain",
    "debug: sigilum-authz-notify: detail",
  ]);
});

test("a child that ends is started again, later each time; what was asked of it fails at once", async () => {
  keep("for await (const line of lines) process.exit(7);");
  assert.equal(await rejected(resident.ask({})), "exit 7");
  assert.equal(resident.ready, false);
  assert.match(logged.at(-1), /exit 7.*next start in 1 s/);
  await until("the next start", () => resident.ready, { timeout: 3000 });
  assert.equal(await rejected(resident.ask({})), "exit 7");
  assert.match(logged.at(-1), /next start in 2 s/);
  assert.equal(await rejected(resident.ask({})), "exit 7", "an event does not wait for the backoff");
  assert.match(logged.at(-1), /next start in 4 s/);
  assert.ok(health.some((text) => /ended \(exit 7\)/.test(text)));
});

test("a program that cannot be started: a rejection, no exception", async () => {
  program = join(dir, "missing");
  keep(ANSWERS);
  assert.equal(await rejected(resident.ask({})), "ENOENT");
  assert.match(logged[0], /ENOENT/);
});

test("no program recorded: told once, in the log and in the service's health; one that comes is started", async () => {
  program = undefined;
  keep(ANSWERS);
  for (let n = 0; n < 3; n++) assert.equal(await rejected(resident.ask({ n })), "missing");
  assert.deepEqual(logged, ["warn: sigilum-authz-notify: the program is missing"]);
  assert.ok(health.length > 0 && health.every((text) => text === "the program is missing"));
  program = process.execPath;
  assert.match((await resident.ask({ n: 7 })).messages[0], /^7 by /);
  assert.equal(health.at(-1), "fine");
});

test("its environment: a fixed PATH and the account's home", async () => {
  process.env.SIGILUM_API_URL = "http://127.0.0.1:1";
  keep('for await (const line of lines) { const { id } = JSON.parse(line); say({ id, env: process.env, cwd: process.cwd() }); }');
  const { env, cwd } = await resident.ask({});
  delete process.env.SIGILUM_API_URL;
  assert.deepEqual(env, { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: userInfo().homedir });
  assert.equal(cwd, "/");
});

test("uninstalled: not to be asked, and nothing starts", async () => {
  keep(ANSWERS);
  await resident.ask({ n: 1 });
  assert.equal(resident.ready, true);
  there = false;
  assert.equal(resident.ready, false);
  await resident.stop();
  resident.start();
  assert.equal(await rejected(resident.ask({})), "stopped");
  there = true;
  resident.start();
  assert.match((await resident.ask({ n: 2 })).messages[0], /^2 by /);
});

test("a child that does not answer within 5 s is replaced", async () => {
  keep("for await (const line of lines) { }");
  const began = Date.now();
  assert.equal(await rejected(resident.ask({})), "deadline");
  const took = Date.now() - began;
  assert.ok(took >= 4900 && took < 6500, `${took} ms`);
  await until("its end", () => logged.some((line) => line.includes("SIGKILL")));
  await until("the next child", () => resident.ready, { timeout: 3000 });
});

test("stop: by closing its input, else by force; nothing starts afterwards", async () => {
  keep(ANSWERS);
  await resident.ask({ n: 1 });
  let began = Date.now();
  await resident.stop();
  assert.ok(Date.now() - began < 1000);
  keep('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); say({ id: 0 });');
  await sleep(300);
  began = Date.now();
  await resident.stop();
  assert.ok(Date.now() - began < 3000);
  await sleep(1500);
  assert.equal(resident.ready, false);
  assert.equal(await rejected(resident.ask({})), "stopped");
});
