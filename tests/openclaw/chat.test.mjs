// `/sigilum` in the real OpenClaw, over the real IRC: who reads, who is refused, and that none of it reaches a model.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { residents, until } from "./lib/process.mjs";
import { World } from "./lib/world.mjs";

const ALICE = "irc:alice!~alice@127.0.0.1";
const NOT_HERE = /Sigilum: nothing was decided\./;
const REFUSED = /Sigilum: requests are answered here in a direct chat, by whom the namespace's owner recorded/;
let world;
let alice;
let bob;
let carol;

before(async () => {
  world = await World.create();
  world.installObserver();
  const owners = [ALICE, "irc:bob!~bob@127.0.0.1", "irc:carol!~carol@127.0.0.1"];
  world.writeConfig({ more: `  commands: { ownerAllowFrom: ${JSON.stringify(owners)} },\n` });
  await world.login("--enable-authz-notify", "false");
  await world.sigilumOk("hook", "install", "--as", "plugin", "--deciders", ALICE);
  world.api.add({ service: "mail", agent: "bot" });
  await world.boot();
  await until("the plugin's child", () => residents().length > 0);
  alice = await world.person("alice");
  bob = await world.person("bob");
  carol = await world.person("carol");
  await carol.join("#ops");
});
after(() => world?.close());

const posts = () => world.api.requests.filter(({ method }) => method === "POST");
const id = () => world.api.claims[0].claim_id;
/** Waits for a line of OpenClaw's log file, which has more than its terminal. */
const logLength = () => readFileSync(join(world.state, "openclaw.log"), "utf8").length;
const logged = (pattern, from) => until(`the log to have ${pattern}`, () => pattern.test(readFileSync(join(world.state, "openclaw.log"), "utf8").slice(from)));

/** Sends a message as a client of the gateway with its token and these scopes, as an agent's shell can. */
async function clientSends(message, scopes) {
  const socket = new WebSocket(`ws://127.0.0.1:${world.gatewayPort}`);
  const frames = [];
  socket.addEventListener("message", ({ data }) => frames.push(JSON.parse(data)));
  await new Promise((resolve, reject) => ((socket.onopen = resolve), (socket.onerror = reject)));
  const call = async (id, method, params) => {
    socket.send(JSON.stringify({ type: "req", id, method, params }));
    const answer = await until(`an answer to ${method}`, () => frames.find((frame) => frame.type === "res" && frame.id === id));
    assert.ok(answer.ok, JSON.stringify(answer));
  };
  await until("the challenge", () => frames.find(({ event }) => event === "connect.challenge"));
  const client = { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" };
  const auth = { token: "e2e-gateway-token" };
  await call("1", "connect", { minProtocol: 4, maxProtocol: 4, client, role: "operator", scopes, caps: [], auth });
  await call("2", "chat.send", { sessionKey: "agent:main:main", message, idempotencyKey: `e2e-${frames.length}-${Date.now()}` });
  socket.close();
}

test("a recorded sender lists, shows, and reads how it stands", async () => {
  const list = await alice.ask("ocbot", "/sigilum list");
  assert.match(list.text, /Sigilum: 1 request waits for your approval in namespace alice-e2e\. ID claim_\S+: new: service "mail", agent "bot"/);
  assert.ok(list.lines.every((line) => line.to === "alice"));
  assert.match((await alice.ask("ocbot", `/sigilum show ${id()}`)).text, new RegExp(`Sigilum request ${id()}, pending: `));
  assert.match((await alice.ask("ocbot", "/sigilum status")).text, /1 pending .*owner token valid for .*anybody could take a sender's id/);
  assert.match((await alice.ask("ocbot", "/SIGILUM: help")).text, /what you can type/);
});

test("on IRC nothing is decided, whoever asks", async () => {
  for (const verb of ["approve", "reject", "revoke"]) {
    const { text } = await alice.ask("ocbot", `/sigilum ${verb} ${id()}`);
    assert.match(text, NOT_HERE);
    assert.match(text, new RegExp(`In a terminal: sigilum-authz-notify authz ${verb} ID`));
  }
  await world.gateway.logged(/refused a \/sigilum approve of irc:alice!~alice@127\.0\.0\.1/);
});

test("another owner of OpenClaw's, whom nobody recorded, is refused; so is a room", async () => {
  for (const what of ["list", "status", `approve ${id()}`]) assert.match((await bob.ask("ocbot", `/sigilum ${what}`)).text, REFUSED);
  assert.match((await carol.ask("#ops", "/sigilum list")).text, REFUSED);
});

test("who is no owner for OpenClaw does not reach it at all", async () => {
  const mallory = await world.person("mallory");
  assert.doesNotMatch((await mallory.ask("ocbot", "/sigilum list")).text, /mail|waits/);
});

test("a client of the gateway decides nothing, whatever scopes it claims", async () => {
  for (const verb of ["approve", "reject"]) {
    let from = logLength();
    await clientSends(`/sigilum ${verb} ${id()}`, ["operator.read", "operator.write"]);
    await logged(/Plugin command \/sigilum blocked: missing gateway scope/, from);
    from = logLength();
    await clientSends(`/sigilum ${verb} ${id()}`, ["operator.read", "operator.write", "operator.approvals"]);
    await logged(new RegExp(`refused a /sigilum (${verb}|command) of`), from);
    from = logLength();
    await clientSends(`/sigilum ${verb} ${id()}`, ["operator.admin", "operator.read", "operator.write", "operator.approvals"]);
    await logged(new RegExp(`refused a /sigilum ${verb} of`), from);
  }
});

test("what only quotes the command is no command", async () => {
  const before = world.api.requests.length;
  alice.says("ocbot", `> /sigilum approve ${id()}`);
  alice.says("ocbot", `please /sigilum approve ${id()}`);
  // What was no command went to the model, whose answers may come before or after.
  await alice.ask("ocbot", "/sigilum help", { fits: /what you can type/ });
  assert.equal(world.api.requests.length, before);
});

test("after a reload the command is there still, and finds the one child", async () => {
  const before = residents().map(({ pid }) => pid);
  const from = world.gateway.here();
  await world.gateway.reloads(() => world.save(world.text().replace("ownerAllowFrom: [", 'ownerAllowFrom: ["irc:dave!~dave@127.0.0.1",')));
  await world.gateway.logged(/starting IRC provider/, { from }); // that setting restarts the channel
  await alice.sees("ocbot");
  await carol.sees("ocbot", "#ops");
  assert.match((await alice.ask("ocbot", "/sigilum list")).text, /1 request waits/);
  assert.deepEqual(residents().map(({ pid }) => pid), before);
});

test("during a reload the command is answered too, and by us", async () => {
  const from = world.gateway.here();
  world.save(world.text().replace('heartbeat: { every: "0m" }', 'heartbeat: { every: "0s" }'));
  let done = false;
  const applied = world.gateway.logged(/\[reload\] config hot reload applied/, { from }).then(() => (done = true));
  for (let asked = 0; !done || asked < 3; asked++) {
    assert.match((await alice.ask("ocbot", "/sigilum help", { quiet: 100 })).text, /what you can type/);
  }
  await applied;
});

test("nothing was decided", () => {
  assert.deepEqual(posts(), []);
  assert.equal(world.api.claims[0].status, "pending");
});
