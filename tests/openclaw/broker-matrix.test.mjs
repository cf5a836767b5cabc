// The plugin of the real OpenClaw behind a broker that another user runs: what the owner reads and decides goes through
// it, by a code, and the gateway's side holds no token. Without root the broker's user is the gateway's.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { MatrixChat } from "./lib/matrix-chat.mjs";
import { BINARY, residents, run, start, until } from "./lib/process.mjs";
import { NAMESPACE } from "./lib/world.mjs";

const root = process.getuid() === 0;
const as = root ? { uid: 65534, gid: 65534 } : {};
const folder = mkdtempSync(join(tmpdir(), "sigilum-broker-"));
const program = join(folder, "sigilum-authz-notify"); // where the broker's user can run it
const home = join(folder, "home");
const socket = join(home, "broker.sock");
const kept = (name) => join(home, ".openclaw/.sigilum", name);
const factor = randomBytes(20);
const chat = new MatrixChat();
let world;
let bot;
let alice;
let direct;
let broker;

before(async () => {
  await chat.open({ names: ["alice"], owners: ["alice"], answer: () => "I have nothing to say." });
  ({ world, bot, people: { alice } } = chat);
  chmodSync(folder, 0o755);
  copyFileSync(BINARY, program);
  mkdirSync(home, { mode: 0o755 });
  if (root) chownSync(home, as.uid, as.gid);
  const login = `auth login --mode oss-local --namespace ${NAMESPACE} --api-url ${world.api.url} --print-token false`;
  const ended = await run(program, login.split(" "), options());
  assert.equal(ended.code, 0, ended.stderr);
  writeFileSync(kept("totp.json"), JSON.stringify({ secret: base32(factor), spent: null, wrong: 0, wrong_at: null, locks: 0, locked_until: null }), { mode: 0o600 });
  if (root) chownSync(kept("totp.json"), as.uid, as.gid);
  await startBroker();
  const installed = await world.sigilum(["hook", "install", "--as", "plugin", "--broker", socket, "--deciders", `matrix:${alice.id}`]);
  assert.equal(installed.code, 0, installed.stderr);
  world.api.add({ service: "mail", agent: "bot" }, { service: "files", agent: "bot" });
  await world.boot();
  await until("the plugin's child", () => residents().length > 0);
  direct = await chat.direct(alice);
});
after(async () => {
  broker?.kill();
  await broker?.ended;
  await chat.close();
  rmSync(folder, { recursive: true });
});

function options() {
  const env = { PATH: world.path, HOME: home, USER: "broker", JWT_SECRET: world.secret };
  return { ...as, env, cwd: home };
}

async function startBroker() {
  broker = start(program, ["broker", "run", "--socket", socket, "--decide", "totp", "--allow-uid", String(process.getuid())], options());
  const answers = async () => (await world.sigilum(["authz", "list"], { env: { SIGILUM_BROKER: socket } })).code === 0;
  await until("the broker to answer", answers, { every: 200 });
}

const base32 = (bytes) => {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.match(/.{5}/g).map((five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(five, 2)]).join("");
};

/** The code of now, by RFC 6238, or of so many steps later. */
function code(later = 0) {
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const hash = createHmac("sha1", factor).update(step).digest();
  const number = hash.readUInt32BE(hash.at(-1) & 15) & 0x7fff_ffff;
  return String(number % 1_000_000).padStart(6, "0");
}

const ask = async (text, fits) => (await alice.ask(bot, direct, text, fits)).body;
const posts = () => world.api.requests.filter(({ method }) => method === "POST").map(({ path }) => path);
const id = (service) => world.api.claims.find((claim) => claim.service === service).claim_id;

test("the notice and the list come through the broker", async () => {
  assert.match(await ask("/new", /Sigilum/), /Sigilum: 2 requests wait for your approval in namespace alice-e2e/);
  const list = await ask("/sigilum list");
  assert.ok(list.includes(id("mail")) && list.includes(id("files")), list);
});

test("without a code, or with a wrong one, nothing is decided; with one it is, once: one POST", async () => {
  assert.match(await ask(`/sigilum approve ${id("mail")}`), /code/);
  const wrong = String((Number(code()) + 500_000) % 1_000_000).padStart(6, "0");
  assert.match(await ask(`/sigilum approve ${id("mail")} ${wrong}`), /code/);
  assert.deepEqual(posts(), []);
  const spent = code();
  assert.match(await ask(`/sigilum approve ${id("mail")} ${spent}`), new RegExp(`Sigilum: approved ${id("mail")}`));
  assert.deepEqual(posts(), [`/v1/claims/${id("mail")}/approve`]);
  assert.match(await ask(`/sigilum reject ${id("files")} ${spent}`), /code/);
  assert.equal(posts().length, 1);
});

test("the broker gone: one plain line; back: as before", async () => {
  broker.kill();
  await broker.ended;
  assert.match(await ask("/new", /Sigilum/), /^Sigilum could not be asked: nobody answers on the broker's socket\. /);
  await startBroker();
  const again = async () => /1 request waits/.test(await ask("/new", /Sigilum/));
  await until("the notice again", again, { timeout: 90_000 });
  assert.match(await ask(`/sigilum reject ${id("files")} ${code(1)}`), /Sigilum: rejected/);
  assert.equal(posts().length, 2);
});

test("the gateway's side holds no token", () => {
  const token = readFileSync(kept(`owner-token-${NAMESPACE}.jwt`), "utf8").trim();
  const names = readdirSync(world.state, { recursive: true, withFileTypes: true }).filter((file) => file.isFile() && !/npm|node_modules|synapse/.test(file.parentPath));
  assert.ok(names.some(({ name }) => name === "openclaw.json"));
  for (const { name, parentPath } of names) {
    assert.ok(!readFileSync(join(parentPath, name)).includes(token), `${parentPath}/${name}`);
  }
  assert.ok(!world.gatewayLogs().includes(token));
  assert.equal(world.entry()?.env?.SIGILUM_OWNER_TOKEN, undefined);
});
