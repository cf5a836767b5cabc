// Three sides on one openclaw.json for a minute: eight loops of ours, OpenClaw's own config set, and an editor that
// ignores every lock. Too long for every run: `tests/openclaw/run.sh many-writers`; E2E_SECONDS for another time.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Editor } from "./lib/editor.mjs";
import { recordedSets, Ledger } from "./lib/ledger.mjs";
import { HOOK, NAMESPACE, World } from "./lib/world.mjs";

const SECONDS = Number(process.env.E2E_SECONDS ?? 60);
/** Storms, in which everybody writes at once, and calms: OpenClaw gives up where the file changes under its command, so
 *  that in a storm without end it would never write at all. A storm lasts as long as such a command takes when nobody
 *  else writes, a calm twice as long. In s. */
let storm;
let calm;

let world;
let editor;
const ledger = new Ledger();
const counts = { commands: 0, done: 0, waited: 0, sets: 0, refused: 0, disturbed: 0, edits: 0, reads: 0, unreadable: 0 };

before(async () => {
  world = await World.create();
  world.writeConfig({ more: "  env: { vars: { E2E_FIRST: 'yes' } },\n" });
  await world.login("--enable-authz-notify", "true");
  const start = performance.now();
  await world.openclawOk("config", "set", "env.vars.E2E_ALONE", "yes", "--dry-run");
  storm = (performance.now() - start) / 1000;
  calm = 2 * storm;
  editor = new Editor(world.config);
});
after(async () => {
  await editor?.close();
  await world?.close();
});

const began = performance.now();
const elapsed = () => (performance.now() - began) / 1000;

/** Waits for a moment in a storm; in a calm for longer, or until the next storm breaks. In s, at most. */
async function rest(inStorm, inCalm) {
  const into = elapsed() % (storm + calm);
  const random = Math.random();
  const seconds = into < storm ? inStorm * random : Math.min(inCalm * random, storm + calm - into);
  await sleep(seconds * 1000);
}

/** One command of ours. Two of the eight loops switch the hook on and off, the others renew the token. No two tokens
 *  have the same life, so that every command has something to write, several in one second too. */
async function command(number, on) {
  const what = number < 2 ? ["login", "--enable-authz-notify", on] : ["refresh"];
  const life = ["--ttl-seconds", `${600_000 - ++counts.commands}`];
  const { code, stdout, stderr } = await world.sigilum(["auth", ...what, ...life, "--namespace", NAMESPACE, "--print-token", "false"]);
  if (code === 5) counts.waited++; // it says so, and that the command may be run again
  else assert.equal(code, 0, stdout + stderr);
  if (code === 0) counts.done++;
}

/** One command of OpenClaw's. It may refuse, or write and then find that somebody without a lock wrote over that. */
async function set() {
  const key = `E2E_${counts.sets + counts.refused + counts.disturbed}`;
  const { code, stdout, stderr } = await world.openclaw("config", "set", `env.vars.${key}`, key);
  if (/changed while this command was writing/.test(stdout + stderr)) {
    counts.refused++;
    return;
  }
  const done = code === 0;
  if (!done) assert.match(stdout + stderr, /Config was written to .* but post-write processing failed: config changed/);
  counts[done ? "sets" : "disturbed"]++;
  ledger.sets.push({ key, done });
}

test("a lost key is put down to whoever lost it, and to us where that is not proven", () => {
  /** A config with one token and these variables. */
  const config = (token, ...keys) => {
    const entries = { [HOOK]: { env: { SIGILUM_OWNER_TOKEN: token } } };
    const vars = Object.fromEntries(keys.map((key) => [key, key]));
    return JSON.stringify({ gateway: {}, channels: {}, meta: {}, hooks: { internal: { entries } }, env: { vars } });
  };
  /** Plays a story, whose last file seen is the one that stays; gives what was lost by whom. */
  const lost = (story) => {
    const told = new Ledger();
    const audit = [];
    story({
      see: (...file) => told.see(config(...file)),
      editor(key, { read, meanwhile = () => {}, taken = read }) {
        const began = performance.now();
        meanwhile();
        const texts = { read: config(...read), written: config(...read, key), taken: config(...taken) };
        told.edited(key, { ...texts, began, saved: performance.now() });
        told.see(texts.written);
      },
      openclaw(key, read) {
        told.see(config(...read, key));
        told.sets.push({ key, done: true });
        audit.push({ key, previousHash: told.version(config(...read)).hash });
      },
    });
    return told.lost(told.seen.at(-1).version, audit).map(({ key, by }) => `${key} by ${by}`);
  };
  const stories = {
    "nothing lost": [({ see, editor, openclaw }) => (see("t1"), editor("mine", { read: ["t1"] }), openclaw("theirs", ["t1", "mine"]))],
    "the editor over OpenClaw": [
      ({ see, editor, openclaw }) => {
        see("t1");
        editor("mine", { read: ["t1"], meanwhile: () => openclaw("theirs", ["t1"]), taken: ["t1", "theirs"] });
      },
      "theirs by the editor",
    ],
    "OpenClaw over the editor": [
      ({ see, editor, openclaw }) => (see("t1"), editor("mine", { read: ["t1"] }), openclaw("theirs", ["t1"])),
      "mine by OpenClaw",
    ],
    "we over the editor": [({ see, editor }) => (see("t1"), editor("mine", { read: ["t1"] }), see("t2")), "mine by us"],
    "we over OpenClaw": [({ see, openclaw }) => (see("t1"), openclaw("theirs", ["t1"]), see("t2")), "theirs by us"],
    "we over the editor, and OpenClaw on top": [
      ({ see, editor, openclaw }) => (see("t1"), editor("mine", { read: ["t1"] }), see("t2"), openclaw("theirs", ["t2"])),
      "mine by us",
    ],
    "the editor was shown an older file": [
      ({ see, editor }) => {
        see("t1");
        editor("first", { read: ["t1"] });
        editor("second", { read: ["t2"], taken: ["t1", "first"] });
      },
      "first by us",
    ],
  };
  for (const [what, [story, ...expected]] of Object.entries(stories)) assert.deepEqual(lost(story), expected, what);
});

test(`eight loops of ours, OpenClaw's config set and an editor, ${SECONDS} s`, async () => {
  const end = elapsed() + SECONDS;
  let over = false;
  let reading = true;
  // On a slow machine OpenClaw may need longer to get its turns.
  const goOn = () => !over && (elapsed() < end || (counts.sets < 3 && elapsed() < end + 3 * SECONDS));
  const loops = {
    async ours(number) {
      for (let n = 0; goOn(); n++) {
        await rest(0.5, 5 * calm);
        await command(number, n % 2 ? "true" : "false");
      }
    },
    async openclaw() {
      while (goOn()) await set();
    },
    async editor() {
      for (; goOn(); counts.edits++) {
        await rest(0.1, 2 * calm);
        const key = `EDITOR_${counts.edits}`;
        ledger.edited(key, await editor.add(key, key));
      }
    },
    async reader() {
      for (let last; reading; counts.reads++) {
        try {
          const text = readFileSync(world.config, "utf8");
          if (text === last) continue;
          last = text;
          assert.ok(ledger.see(text), "half a config");
        } catch (error) {
          counts.unreadable++;
          console.log(`      unreadable: ${error.message}`);
        } finally {
          await sleep(1);
        }
      }
    },
  };
  const eight = [...Array(8).keys()];
  const reader = loops.reader();
  try {
    await Promise.all([loops.openclaw(), loops.editor(), ...eight.map(loops.ours)]);
    // Without the editor nobody may disturb anybody: what it overwrote of ours is written again, and stays.
    const { sets, disturbed } = counts;
    const closing = async () => {
      while (counts.sets === sets) await set();
      assert.equal(counts.disturbed, disturbed);
    };
    await Promise.all([closing(), ...eight.map((number) => command(number, "true"))]);
  } finally {
    over = true;
    reading = false;
    await reader;
  }

  const last = ledger.version(world.text());
  const audit = recordedSets(world.state);
  const lost = ledger.lost(last, audit);
  const by = (who) => lost.filter((key) => key.by === who).length;
  for (const { key, by } of lost) console.log(`      lost: ${key}, by ${by}`);
  console.log(`      storms of ${storm.toFixed(1)} s, calms of ${calm.toFixed(1)} s`);
  console.log(`      ours: ${counts.done} commands done, ${counts.waited} told to try again`);
  console.log(`      OpenClaw: ${counts.sets} sets done, ${counts.refused} refused, ${counts.disturbed} written and found changed at once`);
  console.log(`      the editor: ${counts.edits} keys, ${editor.again} begun again, ${ledger.tokensTaken} of our tokens overwritten`);
  console.log(`      readers: ${counts.reads} reads, ${ledger.versions.size} versions, ${counts.unreadable} unreadable`);
  console.log(`      keys lost: ${by("the editor")} by the editor, ${by("OpenClaw")} by OpenClaw, ${by("us")} by us`);

  assert.ok(counts.done > 16 && counts.sets >= 3 && counts.edits > 50 && counts.reads > 1000, "all three sides wrote");
  const recorded = new Set(audit.map(({ key }) => key));
  for (const { key, done } of ledger.sets) assert.ok(!done || recorded.has(key), "OpenClaw's audit has its writes");
  assert.equal(counts.unreadable, 0);
  assert.equal(by("us"), 0, "an update was lost");
  assert.equal(world.entry().env.SIGILUM_OWNER_TOKEN, world.token(), "token file and config agree");
  assert.deepEqual([world.entry().enabled, world.entry().env.SIGILUM_NAMESPACE], [true, NAMESPACE]);
  const left = readdirSync(world.state).filter((name) => /\.lock|\.reclaim|\.sigilum-authz-notify-|\.editor/.test(name));
  assert.deepEqual(left, [], "nobody left anything");
  assert.match(await world.openclawOk("config", "validate"), /Config valid/);
});
