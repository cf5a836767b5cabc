// From npm: the plugin by OpenClaw's own installer, the command line by npm's, from a real registry on loopback that knows
// no other one. The person has Node, npm and OpenClaw; nothing of ours, and no Rust.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { freePort } from "./lib/irc.mjs";
import { NAMESPACE, PLUGIN, since, World } from "./lib/world.mjs";
import { BINARY, OPENCLAW_ENTRY, run, runningFrom, start, until } from "./lib/process.mjs";
import { sevenClaims } from "./lib/steps.mjs";

const ROOT = process.env.E2E_ROOT;
const PLATFORM = `${process.platform}-${process.arch}`;
const VERSION = /^version = "([^"]+)"/m.exec(readFileSync(join(ROOT, "Cargo.toml"), "utf8"))[1];
const [NEXT, BROKEN] = [1, 2].map((more) => VERSION.replace(/\d+$/, (patch) => Number(patch) + more));
/** A running gateway takes up an install, and asks what a plugin may do. */
const isHot = since(9);
const CONSENT = since(8) ? ["--accept-capabilities"] : [];

let world;
let registry;
let alice;
let npm; // npm's own program

before(async () => {
  world = await World.create();
  npm = execFileSync("/bin/sh", ["-c", "command -v npm"], { encoding: "utf8" }).trim();
  world.path = [dirname(process.execPath), dirname(npm), "/usr/bin", "/bin"].join(":");
  assert.equal((await run("/bin/sh", ["-c", `command -v ${PLUGIN}`], { env: world.env })).stdout, "", "something of ours is on PATH");
  world.writeConfig();
  await startRegistry();
  publish(VERSION);
});
after(async () => {
  registry?.kill();
  await world?.close();
  for (const { pid } of runningFrom(world.home)) process.kill(pid, "SIGKILL");
});

/** Verdaccio, empty and without a registry behind it; npm of this world knows no other. */
async function startRegistry() {
  const folder = join(world.home, "registry");
  mkdirSync(folder);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const config = {
    storage: join(folder, "storage"),
    auth: { htpasswd: { file: join(folder, "htpasswd") } },
    uplinks: {},
    packages: { "**": { access: "$all", publish: "$all" } },
    max_body_size: "500mb",
    log: { type: "file", path: join(folder, "log"), level: "http" },
  };
  writeFileSync(join(folder, "config.yaml"), JSON.stringify(config)); // JSON is YAML
  const token = `//127.0.0.1:${port}/:_authToken=nobody-checks-it`;
  writeFileSync(join(world.home, ".npmrc"), `registry=${url}\n${token}\nprefix=${join(world.home, "global")}\naudit=false\nfund=false\n`);
  const args = [process.env.VERDACCIO, "--config", join(folder, "config.yaml"), "--listen", `127.0.0.1:${port}`];
  registry = start(process.execPath, args, { cwd: folder, env: { PATH: world.path, HOME: folder } });
  await until("the registry", () => fetch(`${url}-/ping`).then(({ ok }) => ok, () => false), { timeout: 60_000, every: 100 });
}

/** The full notice of a hosted Sigilum, once. */
async function notice() {
  sevenClaims(world.api);
  const { text } = await alice.ask("ocbot", "/new");
  assert.match(text, new RegExp(`Sigilum: 7 requests wait for your approval in namespace ${NAMESPACE}`));
  assert.match(text, /service "shop"/);
  assert.match(text, /"newest"/);
  assert.equal(text.match(/Sigilum:/g).length, 1, "one notice");
}

/** Packs and publishes a version; the platforms' packages first, as the script prints them. */
function publish(version, wanted = () => true) {
  const out = join(world.home, "packages");
  const args = [join(ROOT, "packaging/npm/build.mjs"), "--out", out, "--version", version, `${PLATFORM}=${BINARY}`];
  const packed = execFileSync(process.execPath, args, { env: world.env, encoding: "utf8" }).trim().split("\n");
  for (const file of packed.filter(wanted)) execFileSync(npm, ["publish", file], { env: world.env, stdio: "pipe" });
}

/** The time of one command, and that it went well. */
async function timed(what, command) {
  const began = performance.now();
  const result = await command();
  console.log(`      ${what}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return result;
}

const restart = async () => {
  await world.restart();
  alice = await world.person("alice");
};
/** The program that the gateway keeps for the plugin. */
const child = (where = () => true) =>
  until("the plugin's child", () => runningFrom(world.home).find(({ exe, args }) => args[1] === "serve" && where(exe)), { timeout: 90_000 });
const projects = () => join(world.state, "npm/projects");
const record = () => JSON.parse(readFileSync(join(world.state, ".sigilum/hook.json"), "utf8"));
/** `openclaw sigilum …`: { code, stdout, stderr }. */
const sigilum = (args, options = {}) => run(process.execPath, [OPENCLAW_ENTRY, "sigilum", ...args], { env: world.env, cwd: world.home, ...options });

test("from nothing to the notice in the chat", async () => {
  const token = await world.ownerToken();
  await world.boot();
  alice = await world.person("alice");
  const began = performance.now();
  let commands = 0;
  const step = (what, command) => (commands++, timed(what, command));
  await step("openclaw plugins install", () => world.openclawOk("plugins", "install", PLUGIN, "--force", ...CONSENT));
  const login = ["auth", "login", "--mode", "managed", "--namespace", NAMESPACE, "--api-url", world.api.url, "--owner-token-stdin", "--print-token", "false"];
  const ended = await step("openclaw sigilum auth login", () => sigilum(login, { input: token }));
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  assert.doesNotMatch(ended.stdout + ended.stderr, /hook install/, "there is nothing else to do");
  if (!isHot) await step("openclaw gateway restart", restart);
  await child((exe) => exe.startsWith(projects()));
  await notice();
  console.log(`      from nothing to the notice: ${commands} commands, ${((performance.now() - began) / 1000).toFixed(1)} s`);
});

test("what is recorded is no path that goes away: a login from the plugin made a copy", async () => {
  const copy = join(world.state, ".sigilum/bin", PLUGIN);
  assert.equal(record().binary, copy);
  assert.equal(statSync(copy).mode & 0o777, 0o755);
  assert.deepEqual(readFileSync(copy), readFileSync(BINARY));
});

test("openclaw sigilum passes words, exit code and an agent's shell on, and nothing else of the environment", async () => {
  assert.match((await sigilum(["--version"])).stdout, new RegExp(`^${PLUGIN} ${VERSION}\\b`));
  const expected = await run(BINARY, ["auth", "show", "--namespace", "nobody"], { env: { HOME: world.home } });
  assert.notEqual(expected.code, 0);
  assert.equal((await sigilum(["auth", "show", "--namespace", "nobody"])).code, expected.code);
  const env = { ...world.env, SIGILUM_NAMESPACE: "mallory", SIGILUM_API_URL: "http://127.0.0.1:9" };
  const shown = JSON.parse((await sigilum(["auth", "status", "--json"], { env })).stdout);
  assert.equal(shown.namespace, NAMESPACE);
  assert.equal(shown.api_url, world.api.url);
  const agent = await sigilum(["hook", "install", "--as", "plugin", "--deciders", "matrix:@m:localhost"], { env: { ...env, OPENCLAW_SHELL: "exec" } });
  assert.match(agent.stderr, /this is an agent's shell/);
  assert.equal(agent.code, 2);
});

test("npm install -g gives the command line, which knows the plugin and makes no second one", async () => {
  await timed("npm install -g", async () => execFileSync(npm, ["install", "-g", PLUGIN], { env: world.env, stdio: "pipe" }));
  const ours = join(world.home, "global/bin", PLUGIN);
  const call = (...args) => run(ours, args, { env: world.env, cwd: world.home });
  assert.match((await call("--version")).stdout, new RegExp(`^${PLUGIN} ${VERSION}\\b`));
  const status = JSON.parse((await call("hook", "status", "--json")).stdout);
  assert.deepEqual([status.plugin.by_openclaw, status.plugin.enabled, status.plugin.state], [true, true, "installed"]);
  const before = world.text();
  const install = await call("hook", "install", "--as", "plugin", "--senders", "alice!~alice@127.0.0.1");
  assert.equal(install.code, 0, install.stderr);
  assert.match(install.stdout, /^plugin installed by OpenClaw: /);
  assert.equal(world.text(), before);
  assert.ok(!existsSync(join(world.state, ".sigilum/plugin")));
  // The platform's package of a global install stays, so it is named as it is.
  assert.match(record().binary, new RegExp(`/global/lib/node_modules/.*${PLUGIN}-${PLATFORM}/bin/${PLUGIN}$`));
  await notice();
});

/** What OpenClaw's checks have to say of us that is more than information: the audit's findings, and lines of the others. */
async function findings() {
  const found = [];
  const ours = (text) => /sigilum/i.test(text);
  const audit = await world.openclawJson("security", "audit", "--deep");
  assert.ok(audit.findings.length > 0, "an audit that finds nothing in this home does not look");
  found.push(...audit.findings.filter((one) => ours(JSON.stringify(one)) && one.severity !== "info").map(({ checkId }) => checkId));
  for (const words of [["plugins", "doctor"], ["doctor", "--non-interactive"]]) {
    const { code, stdout, stderr } = await world.openclaw(...words);
    const lines = `${stdout}\n${stderr}`.split("\n").filter(ours);
    console.log(`      openclaw ${words.join(" ")}: ${code}, ${lines.map((line) => line.trim()).join(" | ") || "not a word"}`);
    found.push(...lines.filter((line) => /warn|error|critical|fail|unknown|deprecat/i.test(line)));
  }
  return found;
}

test("OpenClaw finds nothing to say against it but that its version was not pinned", async () => {
  const { plugin } = await world.openclawJson("plugins", "inspect", PLUGIN);
  assert.equal(plugin.status, "loaded");
  assert.deepEqual(await findings(), ["plugins.installs_unpinned_npm_specs"]);
});

test("what doctor finds shows in openclaw health", { skip: !since(8) && "OpenClaw has it since 2026.8.2" }, async () => {
  await world.restart(() => renameSync(world.tokenFile, `${world.tokenFile}.away`));
  const error = () => world.openclawJson("health").then(({ plugins }) => plugins.errors.find(({ id }) => id === PLUGIN)?.error);
  assert.match(await until("the finding", error, { timeout: 90_000, every: 1000 }), /no token.*next: sigilum-authz-notify auth login/is);
  await world.restart(() => renameSync(`${world.tokenFile}.away`, world.tokenFile));
  alice = await world.person("alice");
  await notice();
});

test("an update: the new version's own program runs, and nothing that is recorded goes away", async () => {
  publish(NEXT);
  const { pid } = await child();
  await timed("openclaw plugins update", () => world.openclawOk("plugins", "update", PLUGIN, ...CONSENT));
  if (!isHot) await restart();
  await until("another child", () => runningFrom(projects()).some((process) => process.pid !== pid), { timeout: 90_000 });
  assert.equal((await world.openclawJson("plugins", "inspect", PLUGIN)).plugin.version, NEXT);
  assert.ok(existsSync(record().binary));
  await notice();
});

test("a package without its platform's: the recorded program serves; without that the chat says what is missing", async () => {
  publish(BROKEN, (file) => !file.includes(PLATFORM));
  await world.openclawOk("plugins", "update", PLUGIN, ...CONSENT);
  await restart();
  const recorded = record().binary;
  await child((exe) => exe === recorded);
  await notice();
  await world.restart(() => renameSync(recorded, `${recorded}.away`));
  alice = await world.person("alice");
  const { text } = await alice.ask("ocbot", "/new");
  assert.match(text, /^Sigilum: the program sigilum-authz-notify is missing.* The operator must act; [^/]*$/);
  assert.equal((await alice.ask("ocbot", "/new")).text, text);
  renameSync(`${recorded}.away`, recorded);
  await notice();
});

test("uninstalled by OpenClaw: no child, the usual acknowledgement; ours says whose it is to remove", async () => {
  const ours = join(world.home, "global/bin", PLUGIN);
  const { code, stdout } = await run(ours, ["hook", "uninstall"], { env: world.env, cwd: world.home });
  assert.equal(code, 0);
  assert.match(stdout, /\n  next: openclaw plugins uninstall sigilum-authz-notify --force\n/);
  await timed("openclaw plugins uninstall", () => world.openclawOk("plugins", "uninstall", PLUGIN, "--force"));
  if (!isHot) await restart();
  await until("the end of the child", () => runningFrom(world.home).length === 0, { timeout: 60_000 });
  const { text } = await alice.ask("ocbot", "/new");
  assert.match(text, /New session started/);
  assert.doesNotMatch(text, /Sigilum/);
});

test("installed again, pinned: what OpenClaw switched off stays off until it is enabled; its checks have not a word", async () => {
  publish(VERSION.replace(/\d+$/, (patch) => Number(patch) + 3));
  await world.openclawOk("plugins", "install", PLUGIN, "--pin", "--force", ...CONSENT);
  const enabled = world.value().plugins?.entries?.[PLUGIN]?.enabled;
  console.log(`      after uninstall and install: enabled ${enabled}`);
  if (enabled === false) await world.openclawOk("plugins", "enable", PLUGIN);
  if (!isHot) await restart();
  await child();
  await notice();
  assert.deepEqual(await findings(), []);
  await world.gateway.stop("SIGTERM");
  assert.deepEqual(runningFrom(world.home), []);
});

test("no package was asked for anywhere else, and npm asked the registry alone", () => {
  const log = readFileSync(join(world.home, "registry/log"), "utf8");
  assert.match(log, new RegExp(PLUGIN));
  assert.doesNotMatch(log, /uplink|ENOTFOUND|ECONNREFUSED/);
});
