// What holds on every OpenClaw that we serve, hook and plugin: the notice, a new token, an uninstall under a running
// gateway, and the same other hooks before and after. An install is followed by a restart, as older ones need it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { HOOK, World } from "./lib/world.mjs";
import { ours, residents, until } from "./lib/process.mjs";
import { fullNotice } from "./lib/steps.mjs";

let world;
let original; // the config before our first write
let others; // the hooks that ran before ours
let alice;

before(async () => {
  world = await World.create();
  world.installObserver();
  world.writeConfig({ hooks: "  hooks: { internal: { enabled: true } },\n" });
  original = world.text();
  await world.boot();
  await until("the other hooks", () => ["e2e-observer", "session-memory"].every((name) => world.hooks().includes(name)));
  others = world.hooks();
});
after(() => world?.close());

/** Installs, between two gateways. */
async function installs(...more) {
  await world.restart(() => world.sigilumOk("hook", "install", ...more));
  alice = await world.person("alice");
}

/** These directory hooks run, and no others. */
const run = (names) => until(`the hooks ${names}`, () => isDeepStrictEqual(world.hooks(), names.toSorted()));

/** A new token: the next /new asks with it. */
async function newToken() {
  const old = world.token();
  await sleep(1100); // `iat` counts seconds
  await world.refresh();
  assert.notEqual(world.token(), old);
  await fullNotice(world, alice);
  assert.equal(world.api.requests.at(-1).token, world.token());
}

/** Uninstalled under the running gateway: /new is answered by OpenClaw alone, at once, and no child of ours is left. */
async function uninstalled() {
  await world.gateway.takesUp(() => world.sigilumOk("hook", "uninstall"));
  assert.equal(world.text(), original);
  await alice.sees("ocbot");
  const asked = world.api.requests.length;
  const log = world.gateway.here();
  const { text } = await alice.ask("ocbot", "/new");
  assert.match(text, /New session started/);
  assert.doesNotMatch(text, /Sigilum/);
  assert.equal(world.api.requests.length, asked);
  assert.doesNotMatch(world.gateway.since(log), /sigilum-authz-notify\]? ?:? (no answer|the program)/);
  await until("the end of our processes", () => ours().length === 0);
}

test("the hook: the notice, a new token, nothing once it is uninstalled", async () => {
  await world.login("--enable-authz-notify", "true");
  await installs();
  await run([...others, HOOK]);
  await fullNotice(world, alice);
  await newToken();
  await uninstalled();
});

test("the plugin: the notice from its one child, a new token", async () => {
  await world.pluginStarts(() => installs("--as", "plugin"));
  await run(others);
  const { pid } = await until("the plugin's child", () => residents()[0]);
  await fullNotice(world, alice);
  await newToken();
  assert.deepEqual(residents().map((process) => process.pid), [pid], "one child, the same one");
});

test("hook and plugin: one notice; nothing once they are uninstalled", async () => {
  await world.pluginStarts(() => installs("--as", "hook"));
  await run([...others, HOOK]);
  await until("the plugin's child", () => residents()[0]);
  const asked = world.api.requests.length;
  await fullNotice(world, alice);
  assert.equal(world.api.requests.length, asked + 1, "the API was asked once");
  assert.equal(residents().length, 1);
  await uninstalled();
});

test("the same other hooks as before, and no process of ours", async () => {
  await world.restart();
  await run(others);
  await world.gateway.stop("SIGTERM");
  assert.deepEqual(ours(), []);
});

test("where no hook was on, ours is the only one", async () => {
  const world = await World.create();
  try {
    world.writeConfig({ hooks: "" });
    const before = world.text();
    await world.login("--enable-authz-notify", "true");
    await world.sigilumOk("hook", "install");
    await world.boot();
    await until("our hook alone", () => isDeepStrictEqual(world.hooks(), [HOOK]));
    await world.sigilumOk("hook", "uninstall");
    assert.equal(world.text(), before);
  } finally {
    await world.close();
  }
});
