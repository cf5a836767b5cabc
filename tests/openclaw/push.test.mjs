// The owner told at once, in the real OpenClaw over the real IRC: a request is in their direct chat before they ask.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ours, until } from "./lib/process.mjs";
import { World } from "./lib/world.mjs";

let world;
let alice;

before(async () => {
  world = await World.create();
  world.installObserver();
  world.writeConfig({});
  await world.login("--enable-authz-notify", "false");
  await world.sigilumOk("hook", "install", "--as", "plugin", "--notify", "irc:alice!~alice@127.0.0.1", "--poll-requests", "15");
  await world.boot();
  await until("the plugin's child", () => ours().some(({ args }) => args[1] === "serve"));
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
  process.kill(ours().find(({ args }) => args[1] === "serve").pid, "SIGKILL");
  await until("another child", () => ours().some(({ args }) => args[1] === "serve"));
  const asked = world.api.requests.length;
  world.api.add({ service: "linear" });
  const next = world.api.claims.at(-1).claim_id === id ? world.api.claims[0].claim_id : world.api.claims.at(-1).claim_id;
  await until("the next message", () => message(`authz approve ${next}`).length > 0, { timeout: 60_000 });
  assert.ok(world.api.requests.length > asked);
  assert.equal(message(id).length, before);
});
