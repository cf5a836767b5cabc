// `hooks/` as OpenClaw's own installer takes it: a hook pack, and a linked native plugin.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { HOOK, PLUGIN, World } from "./lib/world.mjs";
import { BINARY } from "./lib/process.mjs";
import { fullNotice } from "./lib/steps.mjs";

let world;
const HOOKS = join(process.env.E2E_ROOT, "hooks");

before(async () => {
  world = await World.create();
  world.writeConfig();
});
after(() => world?.close());

test("the hook pack, installed by OpenClaw: says that its program is missing; answers once a record names it", async () => {
  await world.openclawOk("plugins", "install", HOOKS, "--force");
  await world.login("--enable-authz-notify", "true");
  const info = await world.openclawJson("hooks", "info", HOOK);
  assert.deepEqual([info.loadable, info.source], [true, "openclaw-managed"]);
  world.record(undefined);
  await world.boot();
  const alice = await world.person("alice");
  const { text } = await alice.ask("ocbot", "/new");
  assert.match(text, /^Sigilum: the program sigilum-authz-notify is missing.* The operator must act; [^/]*$/);
  assert.equal((await alice.ask("ocbot", "/new")).text, text);
  world.record(BINARY);
  await fullNotice(world, alice);
  await world.gateway.stop("SIGTERM");
});

test("the plugin, linked by OpenClaw: the same, and it shows in OpenClaw's health", async () => {
  await world.openclawOk("plugins", "install", "--link", join(HOOKS, "plugin"), "--force", "--accept-capabilities");
  const { plugin } = await world.openclawJson("plugins", "inspect", PLUGIN);
  assert.equal(plugin.status, "loaded");
  await world.openclawOk("hooks", "disable", HOOK);
  world.record(undefined);
  await world.boot();
  const bob = await world.person("bob");
  const { text } = await bob.ask("ocbot", "/new");
  assert.match(text, /^Sigilum: the program sigilum-authz-notify is missing.* The operator must act; [^/]*$/);
  assert.equal((await bob.ask("ocbot", "/new")).text, text);
  const health = await world.openclawJson("health");
  const failed = health.plugins.errors.find(({ id }) => id === PLUGIN);
  assert.match(failed.error, /program sigilum-authz-notify is missing.*hook install --as plugin( --openclaw-home '.*')?$/);
  world.record(BINARY);
  await fullNotice(world, bob);
});
