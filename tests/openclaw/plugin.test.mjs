// The native plugin: one resident child beside the gateway, started and ended with it.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { comments, PLUGIN, World } from "./lib/world.mjs";
import { environment, median, ours, residents, until } from "./lib/process.mjs";
import { expiredToken, fullNotice, liveRefresh, shortLines, usualAcknowledgement } from "./lib/steps.mjs";

let world;
let original;
let alice;
let carol;

before(async () => {
  world = await World.create();
  world.installObserver();
  world.writeConfig({ hooks: "  hooks: { internal: { enabled: true, entries: { 'e2e-observer': { enabled: true } } } },\n" });
  original = world.text();
});
after(() => world?.close());

/** Our one process: the child of the gateway. */
async function child() {
  const found = await until("the plugin's child", () => residents()[0]);
  assert.equal(residents().length, 1, "one child, no more");
  const parent = readFileSync(`/proc/${found.pid}/stat`, "utf8").split(") ").at(-1).split(" ")[1];
  assert.equal(Number(parent), world.gateway.pid);
  return found;
}

async function people() {
  for (const person of world.people) person.close();
  alice = await world.person("alice");
  carol = await world.person("carol");
  await carol.join("#ops");
}

const print = (what, numbers) => {
  const [best, worst] = [Math.min(...numbers), Math.max(...numbers)].map((ms) => ms.toFixed(0));
  console.log(`      ${what}: median ${median(numbers).toFixed(1)} ms (${best}–${worst}, ${numbers.length} times)`);
};

test("installed before the boot: the child starts with the gateway and holds no token", async () => {
  await world.login("--enable-authz-notify", "true");
  await world.sigilumOk("hook", "install", "--as", "plugin");
  assert.match(await world.openclawOk("config", "validate"), /Config valid/);
  assert.deepEqual(comments(world.text()), comments(original), "the comments are still there");
  const text = world.text();
  await world.pluginStarts(() => world.boot());
  assert.equal(world.text(), text);
  const { pid, args } = await child();
  const secrets = [world.token().split(".")[2], world.secret];
  for (const secret of secrets) {
    assert.ok(!args.join(" ").includes(secret), "a secret in the child's arguments");
    assert.ok(!environment(pid).includes(secret), "a secret in the child's environment");
  }
  const plugin = await world.openclawJson("plugins", "inspect", PLUGIN);
  assert.equal(plugin.plugin.status, "loaded");
  await world.gateway.logged(/sigilum-authz-notify: watching 1 OpenClaw home/);
  await people();
});

test("direct chat: the full notice, from the child that runs", async () => {
  const { pid } = await child();
  await fullNotice(world, alice);
  assert.equal((await child()).pid, pid);
});
test("nothing pending: the usual acknowledgement", () => usualAcknowledgement(world, alice));
test("expired token: a message that says so", () => expiredToken(world, alice));
test("channel, main session key, unlisted sender: the short line", () => shortLines(world, alice, carol, "--as", "plugin"));
test("a new token under a running gateway", () => liveRefresh(world, alice));

test("the child renews the token before it expires, and the gateway takes it up", async () => {
  // Now the child can sign: the embedded database's secret is the API's.
  writeFileSync(join(world.state, ".sigilum/jwt-secret"), `${world.secret}\n`, { mode: 0o600 });
  await world.gateway.reloads(() => world.refresh("--ttl-seconds", "8"));
  const short = world.token();
  await world.gateway.reloads(() => until("a renewal", () => world.token() !== short, { timeout: 15_000 }));
  assert.match((await alice.ask("ocbot", "/new")).text, /1 request waits/);
  assert.notEqual(world.api.requests.at(-1).token, short);
  rmSync(join(world.state, ".sigilum/jwt-secret"));
  await world.gateway.reloads(() => world.refresh("--ttl-seconds", "604800"));
  assert.equal(world.entry().env.SIGILUM_OWNER_TOKEN, world.token());
});

test("a child that dies is started again", async () => {
  const { pid } = await child();
  process.kill(pid, "SIGKILL");
  await until("another child", () => residents().some((process) => process.pid !== pid), { timeout: 10_000 });
  await fullNotice(world, alice);
  assert.notEqual((await child()).pid, pid);
});

test("latency of /new through the plugin", async () => {
  world.api.claims = [];
  world.api.add({ service: "mail", agent: "bot" });
  const { pid } = await child();
  const { chat, added } = await world.latency(alice, 20);
  print("plugin, /new to notice", chat);
  print("plugin, added beyond the API's answer", added);
  assert.equal((await child()).pid, pid, "the same child answered every time");
});

test("uninstall under a running gateway: no child, the hook neither", async () => {
  await world.gateway.reloads(() => world.sigilumOk("hook", "uninstall"));
  await until("the child's end", () => ours().length === 0, { timeout: 10_000 });
  assert.equal(world.text(), original);
  const asked = world.api.requests.length;
  assert.match((await alice.ask("ocbot", "/new")).text, /New session started/);
  assert.equal(world.api.requests.length, asked);
});

test("latency of /new through the hook", async () => {
  await world.gateway.reloads(async () => {
    await world.login("--enable-authz-notify", "true");
    await world.sigilumOk("hook", "install");
  });
  world.api.claims = [];
  world.api.add({ service: "mail", agent: "bot" });
  await until("the hook to answer", async () => /1 request waits/.test((await alice.ask("ocbot", "/new")).text));
  const { chat, added } = await world.latency(alice, 20);
  print("hook, /new to notice", chat);
  print("hook, added beyond the API's answer", added);
});

test("hook and plugin both there: one notice", async () => {
  await world.pluginStarts(() => world.gateway.reloads(() => world.sigilumOk("hook", "install", "--as", "plugin")));
  const { pid } = await child();
  const asked = world.api.requests.length;
  await fullNotice(world, alice);
  assert.equal(world.api.requests.length, asked + 1, "the API was asked once");
  assert.equal((await child()).pid, pid);
});

test("SIGTERM and SIGKILL of the gateway leave no process of ours", async () => {
  await child();
  await world.gateway.stop("SIGTERM");
  assert.deepEqual(ours(), []);

  await world.boot();
  await child();
  world.gateway.child.kill("SIGKILL");
  await world.gateway.child.gone;
  await sleep(1000);
  assert.deepEqual(ours(), [], "the child ends within a second of its gateway");
});
