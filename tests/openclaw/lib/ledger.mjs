// Who wrote what over what: the versions of one openclaw.json, the saves of an editor, OpenClaw's own audit of its writes.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { HOOK, JSON5 } from "./world.mjs";

export class Ledger {
  /** What a reader who looks all the time saw, each change of the file: versions, in order. */
  seen = [];
  /** The editor's saves, in order: { key, read, written, taken, began, saved }, the three files as versions. */
  edits = [];
  /** OpenClaw's sets: { key, done }. Where one is not done, OpenClaw wrote it and then found the file changed again. */
  sets = [];
  /** Every version that anybody saw, by its SHA-256. */
  versions = new Map();

  /** The version that a text is: { hash, vars, token, whole, at }, `at` being when it was first seen. Throws if it cannot
   *  be parsed. */
  version(text) {
    const hash = createHash("sha256").update(text).digest("hex");
    const known = this.versions.get(hash);
    if (known) return known;
    const value = parse(text);
    const entry = value.hooks?.internal?.entries?.[HOOK];
    const whole = Boolean(value.gateway && value.channels && value.meta && entry);
    const token = entry?.env?.SIGILUM_OWNER_TOKEN;
    const version = { hash, vars: value.env?.vars ?? {}, token, whole, at: performance.now() };
    this.versions.set(hash, version);
    return version;
  }

  /** Notes what the reader sees; gives whether it is a whole config. */
  see(text) {
    const version = this.version(text);
    this.seen.push({ version, at: performance.now() });
    return version.whole;
  }

  edited(key, { read, written, taken, ...times }) {
    const [before, after, out] = [read, written, taken].map((text) => this.version(text));
    this.edits.push({ key, read: before, written: after, taken: out, ...times });
  }

  /** How many saves of the editor's took away a token of ours that it had not read. */
  get tokensTaken() {
    return this.edits.filter(({ written, taken }) => written.token !== taken.token).length;
  }

  /**
   * What was reported as set and is not in the last version: [{ key, by }]. `by` is the editor or OpenClaw only where
   * that is proven; whatever is not proven to be theirs is ours. `audit` is what `recordedSets` gives.
   */
  lost(last, audit) {
    const done = [...this.edits, ...this.sets.filter(({ done }) => done)];
    const missing = done.filter(({ key }) => !(key in last.vars));
    return missing.map((write) => {
      if (this.#tookAway(write.key)) return { key: write.key, by: "the editor" };
      return { key: write.key, by: write.saved && this.#wroteOver(write, audit) ? "OpenClaw" : "us" };
    });
  }

  /**
   * Whether a save of the editor's took the key away: it was in the file that came out, and not in the one that went
   * in. Not so if the key could be seen before the editor read: then somebody showed it an older file.
   */
  #tookAway(key) {
    const shown = Math.min(...[...this.versions.values()].filter(({ vars }) => key in vars).map(({ at }) => at));
    return this.edits.some(({ taken, written, began }) => key in taken.vars && !(key in written.vars) && shown > began);
  }

  /**
   * Whether OpenClaw wrote over a save of the editor's, between its own last look at the file and its rename: the first
   * version without the editor's key is the first with OpenClaw's, and what OpenClaw had read was without it too. (Had
   * anybody taken the key out before OpenClaw read, the reader would have seen that file for as long as OpenClaw works.)
   */
  #wroteOver({ key, began }, audit) {
    const has = ({ version }) => key in version.vars;
    const later = this.seen.slice(this.seen.findLastIndex(({ at }) => at <= began));
    const there = Math.max(0, later.findIndex(has));
    const gone = later.findIndex((look, n) => n > there && !has(look));
    return this.sets.some((set) => {
      if (gone < 0 || !(set.key in later[gone].version.vars) || set.key in later[gone - 1].version.vars) return false;
      const base = this.versions.get(audit.find((write) => write.key === set.key)?.previousHash);
      return !base || !(key in base.vars);
    });
  }
}

function parse(text) {
  try {
    return JSON.parse(text); // what OpenClaw writes, and much faster
  } catch {
    return JSON5.parse(text);
  }
}

/** OpenClaw's own record of what its `config set env.vars.<key>` wrote: { key, previousHash, nextHash, … }. */
export function recordedSets(state) {
  const database = new DatabaseSync(join(state, "state/openclaw.sqlite"), { readOnly: true });
  try {
    const rows = database.prepare("SELECT payload_json FROM diagnostic_events WHERE scope = 'config-audit'").all();
    const records = rows.map(({ payload_json }) => JSON.parse(payload_json));
    const writes = records.filter(({ event, result }) => event === "config.write" && !["failed", "rejected"].includes(result));
    const key = ({ argv }) => /env\.vars\.(\w+)/.exec(argv.join(" "))?.[1];
    return writes.map((write) => ({ key: key(write), ...write })).filter(({ key }) => key);
  } finally {
    database.close();
  }
}
