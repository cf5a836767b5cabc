// A real Matrix homeserver on loopback (Synapse, from PyPI), and people who talk to the bot on it.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./irc.mjs";
import { run, start, until } from "./process.mjs";

const MODULE = "synapse.app.homeserver";

/** Starts Synapse; gives { url, register(name), stop() }. */
export async function startMatrixServer(folder) {
  const home = join(folder, "synapse");
  mkdirSync(home, { mode: 0o700 });
  const port = await freePort();
  const secret = randomBytes(16).toString("hex");
  const often = { per_second: 1000, burst_count: 1000 };
  const config = {
    server_name: "localhost",
    pid_file: join(home, "pid"),
    listeners: [{ port, type: "http", bind_addresses: ["127.0.0.1"], resources: [{ names: ["client"] }] }],
    database: { name: "sqlite3", args: { database: join(home, "synapse.db") } },
    media_store_path: join(home, "media"),
    signing_key_path: join(home, "signing.key"),
    registration_shared_secret: secret,
    macaroon_secret_key: secret,
    form_secret: secret,
    report_stats: false,
    trusted_key_servers: [],
    rc_message: often,
    rc_registration: often,
    rc_joins: { local: often, remote: often },
    rc_invites: { per_room: often, per_user: often, per_issuer: often },
  };
  const file = join(home, "homeserver.yaml");
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 }); // JSON is YAML
  const options = { cwd: home, env: { PATH: process.env.PATH, HOME: home } };
  const keys = await run(process.env.SYNAPSE_PYTHON, ["-m", MODULE, "-c", file, "--generate-keys"], options);
  assert.equal(keys.code, 0, keys.stderr);
  const child = start(process.env.SYNAPSE_PYTHON, ["-m", MODULE, "-c", file], options);
  const url = `http://127.0.0.1:${port}`;
  await until(
    "Synapse to answer",
    () => {
      if (child.exitCode !== null) throw new Error(`Synapse ended: ${child.output}${child.errors}`);
      return fetch(`${url}/_matrix/client/versions`).then(({ ok }) => ok, () => false);
    },
    { timeout: 120_000, every: 200 },
  );
  return {
    url,
    async register(name) {
      const admin = `${url}/_synapse/admin/v1/register`;
      const { nonce } = await (await fetch(admin)).json();
      const password = randomBytes(8).toString("hex");
      const mac = createHmac("sha1", secret).update([nonce, name, password, "notadmin"].join("\0")).digest("hex");
      const body = JSON.stringify({ nonce, username: name, password, admin: false, mac });
      const answer = await (await fetch(admin, { method: "POST", body })).json();
      assert.ok(answer.access_token, JSON.stringify(answer));
      return new MatrixPerson(url, answer.user_id, answer.access_token);
    },
    async stop() {
      child.kill();
      await child.ended;
    },
  };
}

/** One account. */
export class MatrixPerson {
  #url;
  #sent = 0;

  constructor(url, id, token) {
    this.#url = url;
    this.id = id;
    this.token = token;
  }

  async #call(method, path, body) {
    const headers = { authorization: `Bearer ${this.token}` };
    const answer = await fetch(`${this.#url}/_matrix/client/v3/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const json = await answer.json();
    assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(json)}`);
    return json;
  }

  /** A new room with these in it, once they have joined: a direct chat with one, or a room that anybody may be invited to. */
  async room({ isDirect, people }) {
    const invite = people.map(({ id }) => id);
    const { room_id: room } = await this.#call("POST", "createRoom", { is_direct: isDirect, invite, preset: "private_chat" });
    if (isDirect) await this.#call("PUT", `user/${this.id}/account_data/m.direct`, { [invite[0]]: [room] });
    return room;
  }

  async join(room) {
    await this.#call("POST", `join/${encodeURIComponent(room)}`, {});
  }

  /** Waits until somebody has joined. */
  async sees(person, room) {
    const joined = async () => (await this.#call("GET", `rooms/${encodeURIComponent(room)}/joined_members`)).joined;
    await until(`${person.id} in the room`, async () => person.id in (await joined()), { timeout: 120_000, every: 200 });
  }

  /** What somebody said in the room, of its newest messages: the events' contents, in order. */
  async heard(person, room) {
    const { chunk } = await this.#call("GET", `rooms/${encodeURIComponent(room)}/messages?dir=b&limit=100`);
    return chunk.filter(({ type, sender }) => type === "m.room.message" && sender === person.id).map(({ content }) => content).reverse();
  }

  /** Says something and gives the bot's first answer to it that fits: the event's content. */
  async ask(bot, room, body, fits = /(?:)/) {
    const path = `rooms/${encodeURIComponent(room)}`;
    const { event_id } = await this.#call("PUT", `${path}/send/m.room.message/${++this.#sent}`, { msgtype: "m.text", body });
    const answer = async () => {
      const { chunk } = await this.#call("GET", `${path}/messages?dir=b&limit=30`);
      const later = chunk.slice(0, chunk.findIndex((event) => event.event_id === event_id));
      const said = later.filter(({ type, sender }) => type === "m.room.message" && sender === bot.id).map(({ content }) => content);
      return said.findLast(({ body }) => fits.test(body) && !body.startsWith("This Matrix DM is sharing a session")); // OpenClaw's own
    };
    const first = await until(`an answer to ${body}`, answer, { timeout: 120_000, every: 100 });
    await sleep(300);
    return first;
  }
}
