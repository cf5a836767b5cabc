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

test("the hook pack, installed by OpenClaw, answers in a chat", async () => {
  await world.openclawOk("plugins", "install", HOOKS, "--force");
  await world.login("--enable-authz-notify", "true");
  const info = await world.openclawJson("hooks", "info", HOOK);
  assert.deepEqual([info.loadable, info.source], [true, "openclaw-managed"]);
  world.hookBinary = BINARY; // no install of ours has recorded a path
  await world.boot();
  await fullNotice(world, await world.person("alice"));
  await world.gateway.stop("SIGTERM");
});

test("the plugin, linked by OpenClaw, loads", async () => {
  await world.openclawOk("plugins", "install", "--link", join(HOOKS, "plugin"), "--force", "--accept-capabilities");
  const { plugin } = await world.openclawJson("plugins", "inspect", PLUGIN);
  assert.equal(plugin.status, "loaded");
});
