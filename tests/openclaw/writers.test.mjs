// Our writes and OpenClaw's own, on one openclaw.json at once.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { JSON5, World } from "./lib/world.mjs";
import { until } from "./lib/process.mjs";

const SECONDS = 30;
let world;
let lock;
let alone; // how long OpenClaw's config set takes when nobody else writes, in ms

before(async () => {
  world = await World.create();
  world.writeConfig();
  lock = join(world.state, "openclaw.json.lock");
  await world.login("--enable-authz-notify", "true");
  const began = Date.now();
  assert.equal((await set("E2E_ALONE", "yes")).code, 0);
  alone = Date.now() - began;
});
after(() => world?.close());

const set = (name, value) => world.openclaw("config", "set", `env.vars.${name}`, value);

/** The pid in OpenClaw's write lock, if it is held. */
function lockHolder() {
  try {
    return JSON.parse(readFileSync(lock, "utf8")).pid;
  } catch {
    return undefined;
  }
}

test("OpenClaw waits for our lock", async () => {
  const hold = alone + 2000; // left to itself it would have ended by then
  const holding = world.refresh("--test-hold-lock-ms", String(hold));
  await until("our lock", () => existsSync(lock));
  const began = Date.now();
  const openclaw = set("E2E_WAITED", "yes").then((ended) => ({ ...ended, at: Date.now() }));
  const held = holding.then(() => Date.now());
  const [ended, released] = await Promise.all([openclaw, held]);
  assert.ok(ended.at > released, "config set ended before we let go");
  console.log(`      config set: ${alone} ms alone; ${ended.at - began} ms, ${ended.at - released} of them after our release`);
  // OpenClaw refuses to overwrite what it did not read: then it says so, and the person runs it again.
  if (ended.code !== 0) {
    assert.match(ended.stderr + ended.stdout, /changed while this command was writing/);
    assert.equal((await set("E2E_WAITED", "yes")).code, 0);
  }
  assert.equal(world.value().env.vars.E2E_WAITED, "yes");
  assert.equal(world.entry().env.SIGILUM_OWNER_TOKEN, world.token());
});

test("we wait for OpenClaw's lock", async () => {
  const openclaw = set("E2E_HELD", "yes");
  const holder = await until("OpenClaw's lock", lockHolder, { every: 1 });
  const before = world.token();
  const released = until("its release", () => lockHolder() !== holder && Date.now(), { every: 1 });
  const refreshed = world.refresh().then(() => Date.now());
  const [ended, ...times] = await Promise.all([openclaw, released, refreshed]);
  assert.ok(times[0] <= times[1], "we wrote before OpenClaw let go");
  assert.notEqual(world.token(), before);
  assert.equal(world.entry().env.SIGILUM_OWNER_TOKEN, world.token());
  if (ended.code !== 0) {
    assert.match(ended.stderr + ended.stdout, /changed while this command was writing/);
  } else {
    assert.equal(world.value().env.vars.E2E_HELD, "yes");
  }
  assert.ok(!existsSync(lock), "nobody left a lock");
});

test(`four loops of auth refresh and OpenClaw's config set, ${SECONDS} s`, async () => {
  const began = Date.now();
  const counts = { refreshes: 0, waited: 0, sets: 0, conflicts: 0, reads: 0 };
  const keys = [];
  // On a slow machine OpenClaw may need longer to get its turns.
  const goOn = () => Date.now() < began + SECONDS * 1000 || (counts.sets < 3 && Date.now() < began + 4 * SECONDS * 1000);

  const refreshing = async () => {
    while (goOn()) {
      const { code, stdout, stderr } = await world.sigilum(["auth", "refresh", "--namespace", "alice-e2e", "--print-token", "false"]);
      if (code === 5) counts.waited++; // the lock was held too long, and it says so
      else assert.equal(code, 0, stdout + stderr);
      if (code === 0) counts.refreshes++;
      // OpenClaw gives up if the config changed between its start and its write: without pauses it would never write.
      await sleep(alone * (1 + Math.random()));
    }
  };
  const setting = async () => {
    for (let n = 0; goOn(); n++) {
      const { code, stdout, stderr } = await set(`E2E_${n}`, `value ${n}`);
      if (code === 0) {
        counts.sets++;
        keys.push(n);
      } else {
        assert.match(stdout + stderr, /changed while this command was writing/);
        counts.conflicts++;
      }
    }
  };
  const reading = async () => {
    while (goOn()) {
      const text = readFileSync(world.config, "utf8");
      const value = JSON5.parse(text); // throws on a torn file
      assert.ok(value.gateway && value.meta && value.hooks, "a reader saw half a config");
      counts.reads++;
      await sleep(1);
    }
  };
  await Promise.all([refreshing(), refreshing(), refreshing(), refreshing(), setting(), reading()]);

  console.log(`      ${JSON.stringify(counts)}`);
  assert.ok(counts.refreshes > 4 && counts.sets > 0 && counts.reads > 100);
  const { vars } = world.value().env;
  for (const n of keys) assert.equal(vars[`E2E_${n}`], `value ${n}`, "an update was lost");
  assert.equal(world.entry().env.SIGILUM_OWNER_TOKEN, world.token(), "token file and config agree");
  assert.equal(world.entry().env.SIGILUM_NAMESPACE, "alice-e2e");
  assert.ok(!existsSync(lock) && !existsSync(`${lock}.reclaim`), "nobody left a lock");
  assert.match(await world.openclawOk("config", "validate"), /Config valid/);
});
