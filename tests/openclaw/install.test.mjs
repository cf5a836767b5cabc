// The directory hook in a real gateway: installed into a config that a person wrote, used in a chat, removed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { comments, HOOK, World } from "./lib/world.mjs";
import { ours, until } from "./lib/process.mjs";
import { expiredToken, fullNotice, liveRefresh, shortLines, usualAcknowledgement } from "./lib/steps.mjs";

let world;
let original; // the config before our first write
let others; // the hooks that ran before ours
let alice;
let carol;

before(async () => {
  world = await World.create();
  world.installObserver();
  // Broad discovery: the master flag and no entry. Any entry of ours could switch the others off.
  world.writeConfig({ hooks: "  hooks: { internal: { enabled: true } },  // every hook that I have\n" });
  original = world.text();
});
after(() => world?.close());

test("login and install under a running gateway: taken up at once, the other hooks go on", async () => {
  await world.boot();
  others = world.hooks();
  assert.ok(others.includes("e2e-observer") && others.includes("session-memory"), `${others}`);
  await world.gateway.reloads(async () => {
    await world.login("--enable-authz-notify", "true");
    await world.sigilumOk("hook", "install");
  });
  await until("our hook in the gateway", () => world.hooks().includes(HOOK));
  assert.deepEqual(world.hooks(), [...others, HOOK].sort());
  assert.deepEqual(comments(world.text()), comments(original));
  assert.equal(world.entry().env.SIGILUM_OWNER_TOKEN, world.token());
  alice = await world.person("alice");
  await fullNotice(world, alice);
});

test("OpenClaw is content with config and hook", async () => {
  assert.match(await world.openclawOk("config", "validate"), /Config valid/);
  const { hooks } = await world.openclawJson("hooks", "list");
  const ours = hooks.find(({ name }) => name === HOOK);
  assert.deepEqual([ours.loadable, ours.source, ours.missing.env], [true, "openclaw-managed", []]);
  await world.gateway.stop("SIGTERM");
});

test("a boot restores no older config and loads the same hooks", async () => {
  const text = world.text();
  await world.boot();
  assert.equal(world.text(), text);
  assert.doesNotMatch(world.gateway.log, /auto-restored|restored from backup/i);
  assert.deepEqual(world.hooks(), [...others, HOOK].sort());
  alice.close();
  alice = await world.person("alice");
  carol = await world.person("carol");
  await carol.join("#ops");
});

test("direct chat: the full notice", () => fullNotice(world, alice));
test("nothing pending: the usual acknowledgement", () => usualAcknowledgement(world, alice));
test("expired token: a message that says so", () => expiredToken(world, alice));
test("channel, main session key, unlisted sender: the short line", () => shortLines(world, alice, carol));
test("a new token under a running gateway", () => liveRefresh(world, alice));

test("hook uninstall gives the bytes back, the gateway goes on", async () => {
  await world.gateway.reloads(() => world.sigilumOk("hook", "uninstall"));
  assert.equal(world.text(), original);
  await until("our hook gone", () => !world.hooks().includes(HOOK));
  assert.deepEqual(world.hooks(), others);
  await usualAcknowledgementWithoutUs();
  await world.gateway.stop("SIGTERM");
  await world.boot();
  assert.equal(world.text(), original, "a boot puts nothing back");
  assert.doesNotMatch(world.gateway.log, /auto-restored|restored from backup/i);
});

async function usualAcknowledgementWithoutUs() {
  const asked = world.api.requests.length;
  const { text } = await alice.ask("ocbot", "/new");
  assert.match(text, /New session started/);
  assert.equal(world.api.requests.length, asked);
}

test("no token in any log, no process left", async () => {
  await world.gateway.stop("SIGTERM");
  assert.deepEqual(ours(), []);
  const log = readFileSync(join(world.state, "openclaw.log"), "utf8") + world.gatewayLogs();
  const tokens = new Set(world.api.requests.map(({ token }) => token).filter(Boolean));
  assert.ok(tokens.size >= 3);
  for (const token of tokens) assert.ok(!log.includes(token.split(".")[2]), "a token in a log");
});
