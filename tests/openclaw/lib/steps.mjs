// What the hook and the plugin must both do in a chat; the same steps run against either.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { NAMESPACE } from "./world.mjs";

const ACKNOWLEDGED = /New session started/;
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** Seven requests from strangers, one of whom would like to give orders to a chat client. */
export function sevenClaims(api) {
  api.claims = [];
  api.add(
    { service: "calendar", agent: "oldest" },
    { service: "mail", agent: "second" },
    ...["notes", "drive", "forge"].map((service) => ({ service, agent: `agent of ${service}`, age: 30 })),
    { service: "wiki", agent: "\u0003,4**red** [x](http://evil.test)\u001b[2J", subject: "customer-7", age: 20 },
    { service: "shop", agent: "newest", ip: "198.51.100.23", age: 10 },
  );
}

/** The full notice: the number, the five newest requests with their fields made safe, how many more, what to do. */
export async function fullNotice(world, person) {
  sevenClaims(world.api);
  const { text, lines } = await person.ask("ocbot", "/new");
  assert.match(text, new RegExp(`Sigilum: 7 requests wait for your approval in namespace ${NAMESPACE}`));
  for (const service of ["shop", "wiki", "forge", "drive", "notes"]) assert.match(text, new RegExp(`service "${service}"`));
  assert.doesNotMatch(text, /calendar|"mail"/);
  assert.match(text, /"newest"/);
  assert.match(text, /"198·51·100·23"/);
  assert.match(text, /"customer-7"/);
  assert.match(text, /2 more/);
  assert.match(text, /A local Sigilum has no dashboard\. To approve: .* sigilum-authz-notify authz approve ID/);
  assert.doesNotMatch(text, /\*\*|\u0003|\u001b|\]\(/, "what strangers wrote must not format the chat");
  assert.equal(text.match(/Sigilum:/g).length, 1, "one notice");
  assert.doesNotMatch(text, ACKNOWLEDGED);
  assert.ok(lines.every((line) => line.to === person.nick));
}

/** Nothing pending: OpenClaw's own acknowledgement, and not a word of ours. */
export async function usualAcknowledgement(world, person) {
  world.api.claims = [];
  const before = world.api.requests.length;
  const { text } = await person.ask("ocbot", "/new");
  assert.match(text, ACKNOWLEDGED);
  assert.doesNotMatch(text, /Sigilum/);
  assert.equal(world.api.requests.at(-1).status, 200);
  assert.equal(world.api.requests.length, before + 1, "the API was asked");
}

/** An expired token: the operator reads so, and which command mends it. */
export async function expiredToken(world, person) {
  sevenClaims(world.api);
  await world.gateway.reloads(() => world.refresh("--ttl-seconds", "1"));
  await sleep(1500);
  const { text } = await person.ask("ocbot", "/new");
  assert.match(text, /Sigilum: .*expired/);
  assert.match(text, /Run: sigilum-authz-notify auth (login|refresh)/);
  assert.doesNotMatch(text, /service "/);
  await world.gateway.reloads(() => world.refresh("--ttl-seconds", "604800"));
  assert.match((await person.ask("ocbot", "/new")).text, /7 requests wait/);
}

/** In a channel, whatever the session key says, and to a sender who is not listed: one line with the number. */
export async function shortLines(world, alice, carol, ...kind) {
  sevenClaims(world.api);
  const short = ({ text }) => {
    assert.match(text, /Sigilum: 7 requests wait/);
    assert.doesNotMatch(text, /service "|agent "|ip "|key "|customer-7/);
  };
  const seen = () => world.observed().findLast(({ kind }) => kind === "event");

  short(await carol.ask("#ops", "/new"));
  assert.equal(seen().chatType, "group");
  assert.match(seen().sessionKey, /group/);

  const before = world.text();
  const scoped = before.replace("  meta: {", "  session: { groupScope: 'main' },\n  meta: {");
  await channelRestarts(world, carol, scoped.replace("nick: 'ocbot',", "nick: 'ocbot', realname: 'scoped',"));
  short(await carol.ask("#ops", "/new"));
  assert.deepEqual([seen().chatType, seen().sessionKey], ["group", "agent:main:main"]);
  assert.match((await alice.ask("ocbot", "/new")).text, /service "shop"/, "a direct chat still reads it in full");

  // Whose chat is told all of it is recorded by an install; what openclaw.json says of it opens nothing.
  const install = (sender) => world.sigilumOk("hook", "install", ...kind, "--senders", sender);
  await install("bob!~bob@127.0.0.1");
  short(await alice.ask("ocbot", "/new"));
  const member = "SIGILUM_NOTIFY_SENDERS: 'alice!~alice@127.0.0.1'";
  const listed = world.text().replace(/("?SIGILUM_NAMESPACE"?\s*:)/, `${member}, $1`);
  if (kind.length === 0) {
    assert.notEqual(listed, world.text());
    await world.gateway.reloads(() => world.save(listed));
    short(await alice.ask("ocbot", "/new"));
  }
  await install("alice!~alice@127.0.0.1");
  assert.match((await alice.ask("ocbot", "/new")).text, /service "shop"/);
  await channelRestarts(world, carol, before);
}

/** Saves a config that differs in the IRC channel's settings; waits until the bot is back in #ops. */
async function channelRestarts(world, person, text) {
  const from = world.gateway.here();
  world.save(text);
  await world.gateway.logged(/starting IRC provider/, { from });
  await sleep(1000);
  await person.sees("ocbot", "#ops");
}

/** A new token while the gateway runs: taken up without a restart, and used by the next /new. */
export async function liveRefresh(world, person) {
  world.api.claims = [];
  world.api.add({ service: "mail", agent: "bot" });
  const { pid } = world.gateway;
  const old = world.token();
  const log = world.gateway.here();
  await sleep(1100); // `iat` counts seconds: the newer token is newer by a second
  await world.gateway.reloads(() => world.refresh());
  const token = world.token();
  assert.notEqual(token, old);
  assert.equal(world.entry().env.SIGILUM_OWNER_TOKEN, token);
  assert.match((await person.ask("ocbot", "/new")).text, /1 request waits/);
  assert.equal(world.observed().findLast(({ kind }) => kind === "event").token, sha256(token), "OpenClaw brings the new one");
  assert.equal(world.api.requests.at(-1).token, token, "the API was asked with it");
  assert.equal(world.gateway.pid, pid);
  assert.doesNotMatch(world.gateway.since(log), /restart|\[gateway\] ready/);
}
