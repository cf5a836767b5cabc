// The owner told at once, in the real OpenClaw over the real IRC: a request is in their direct chat before they ask.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import { BINARY, OPENCLAW_ENTRY, ours, residents, start, until } from "./lib/process.mjs";
import { World } from "./lib/world.mjs";

const ALICE = "irc:alice!~alice@127.0.0.1";
let world;
let alice;

before(async () => {
  world = await World.create();
  world.installObserver();
  world.writeConfig({});
  await world.login("--enable-authz-notify", "false");
  await world.sigilumOk("hook", "install", "--as", "plugin", "--notify", ALICE, "--poll-requests", "15");
  await world.boot();
  await until("the plugin's child", () => residents().length > 0);
  alice = await world.person("alice");
});
after(() => world?.close());

const told = () => JSON.parse(readFileSync(join(world.state, ".sigilum/told.json"), "utf8"));
/** What the bot says of a request, unasked. */
const message = (id) => alice.heard.filter(({ from, to, text }) => from.startsWith("ocbot") && to === "alice" && text.includes(id));

test("a new request is in the owner's direct chat, with the commands that answer it", async () => {
  const began = performance.now();
  world.api.add({ service: "mail", agent: "bot" });
  const id = world.api.claims[0].claim_id;
  await until("the message", () => message(`authz approve ${id}`).length > 0, { timeout: 60_000 });
  console.log(`      in the chat after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  await until("its note", () => told().requests[id]?.told);
  assert.deepEqual(told().outgoing, []);
});

test("a child that is started again tells nothing twice", async () => {
  const id = world.api.claims[0].claim_id;
  const before = message(id).length;
  process.kill(residents()[0].pid, "SIGKILL");
  await until("another child", () => residents().length > 0);
  const asked = world.api.requests.length;
  world.api.add({ service: "linear" });
  const next = world.api.claims.at(-1).claim_id === id ? world.api.claims[0].claim_id : world.api.claims.at(-1).claim_id;
  await until("the next message", () => message(`authz approve ${next}`).length > 0, { timeout: 60_000 });
  assert.ok(world.api.requests.length > asked);
  assert.equal(message(id).length, before);
});

test("without the plugin the watcher tells, once, by the openclaw that the install recorded", async () => {
  const { path } = world;
  const openclaw = join(OPENCLAW_ENTRY, "../../.bin/openclaw");
  world.path = [join(openclaw, ".."), path].join(delimiter);
  await world.gateway.reloads(() => world.sigilumOk("hook", "uninstall"));
  await until("the child's end", () => ours().length === 0);
  await world.sigilumOk("hook", "install");
  world.path = path;
  assert.equal(JSON.parse(readFileSync(join(world.state, ".sigilum/hook.json"), "utf8")).openclaw, openclaw);
  const watcher = start(BINARY, ["watch", "--notify", ALICE, "--poll-requests", "5"], { env: world.env, cwd: world.home });
  const arrives = async (service) => {
    world.api.add({ service, agent: "bot" });
    const { claim_id: id } = world.api.claims.find((claim) => claim.service === service);
    await until(`the message of ${service}`, () => message(`authz approve ${id}`).length > 0, { timeout: 60_000 });
    return id;
  };
  const first = await arrives("calendar");
  await until("its note", () => told().requests[first]?.told);
  await arrives("drive");
  assert.equal(message(`authz approve ${first}`).length, 1);
  watcher.kill();
  assert.equal((await watcher.ended).code, 0, watcher.errors);
});
