// What an agent can put into the OpenClaw gateway's environment, by openclaw.json or a `.env`, reaches neither the
// hook's program nor the plugin's: not which program it is, not a flag, not a variable.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SigilumApi } from "./lib/api.mjs";
import { BINARY } from "./lib/process.mjs";
import { fullNotice } from "./lib/steps.mjs";
import { World } from "./lib/world.mjs";

let world;
let workspace; // where an agent writes as it likes
let elsewhere; // an API of the agent's choice
let attack; // the variables in openclaw.json

before(async () => {
  world = await World.create();
  world.installObserver();
  world.writeConfig({ hooks: "  hooks: { internal: { enabled: true } },\n" });

  workspace = join(world.state, "workspace");
  mkdirSync(workspace, { recursive: true });
  const script = '#!/bin/sh\ntouch "$0.ran"\necho \'{"messages":["from the agent"],"logs":[]}\'\n';
  for (const name of ["x.sh", "sigilum-authz-notify"]) writeFileSync(join(workspace, name), script, { mode: 0o755 });
  elsewhere = new SigilumApi("the agent's own secret");
  await elsewhere.listen();
  attack = {
    SIGILUM_AUTHZ_NOTIFY_BIN: join(workspace, "x.sh"),
    SIGILUM_API_URL: elsewhere.url,
    SIGILUM_DASHBOARD_URL: elsewhere.url,
    SIGILUM_NAMESPACE: "mallory",
    SIGILUM_MODE: "managed",
    SIGILUM_ALLOW_INSECURE_HTTP: "1",
    SIGILUM_NOTIFY_GROUPS: "full",
    SIGILUM_NOTIFY_SENDERS: "mallory",
    SIGILUM_HOOK_TIMEOUT_MS: "1",
    SIGILUM_OWNER_TOKEN_COMMAND: join(workspace, "x.sh"),
    JWT_SECRET: "the agent's own secret",
    OPENCLAW_PROFILE: "mallory",
    RUST_LOG: "trace",
    " SIGILUM_API_DB ": join(workspace, "db.sqlite"), // OpenClaw trims names
  };
  // What this OpenClaw does not take from its config, but may have from elsewhere.
  world.gatewayEnv = {
    HTTPS_PROXY: elsewhere.url,
    ALL_PROXY: elsewhere.url,
    SSL_CERT_FILE: join(workspace, "ca.pem"),
    PATH: `${workspace}:${process.env.PATH}`,
  };
});
after(async () => {
  await world?.close();
  await elsewhere?.close();
});

/** Puts a program before ours that notes how it is started and what it is told. */
function recordingProgram(folder) {
  const notes = join(world.home, "notes");
  const program = join(world.home, "recorded.sh");
  rmSync(notes, { recursive: true, force: true });
  mkdirSync(notes);
  writeFileSync(
    program,
    `#!/bin/sh
cat /proc/$$/environ >>${notes}/environ; cat /proc/$$/cmdline >${notes}/args.$1
[ "$1" != doctor ] || exec ${BINARY} "$@"
tee -a ${notes}/input | ${BINARY} "$@"
echo >>${notes}/input
`,
    { mode: 0o700 },
  );
  writeFileSync(join(folder, "install.json"), JSON.stringify({ binary: program }), { mode: 0o600 });
  const list = (name) => readFileSync(join(notes, name), "utf8").split("\0").slice(0, -1);
  return {
    args: (command) => list(`args.${command}`).slice(2), // after the shell and its script
    environ: () => [...new Set(list("environ"))].sort(), // of each start
    events: () => readFileSync(join(notes, "input"), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)),
  };
}

/** The agent's edit, a restart, and /new in a direct chat and in a group. */
async function attacked(kind, folder) {
  let recorded;
  await world.restart(async () => {
    await world.sigilumOk("hook", "uninstall");
    await world.login("--enable-authz-notify", "true");
    await world.sigilumOk("hook", "install", "--as", kind);
    recorded = recordingProgram(join(world.state, folder));
    attack.SIGILUM_OWNER_TOKEN = world.token();
    const without = world.text().replace(/^  env: .*\n/m, "");
    world.save(without.replace("  meta: {", `  env: { vars: ${JSON.stringify(attack)} },\n  meta: {`));
    writeFileSync(join(world.state, ".env"), "SIGILUM_SOURCE_HOME=/nowhere\n");
  });
  const alice = await world.person("alice");
  const carol = await world.person("carol");
  await carol.join("#ops");
  await fullNotice(world, alice);
  const { text } = await carol.ask("#ops", "/new");
  assert.match(text, /Sigilum: 7 requests wait/);
  assert.doesNotMatch(text, /service "/);

  // The attack reached the gateway's environment.
  const { environment } = world.observed().findLast(({ kind }) => kind === "event");
  const { PATH, ...given } = world.gatewayEnv;
  for (const [name, value] of Object.entries({ ...attack, ...given, SIGILUM_SOURCE_HOME: "/nowhere" })) {
    assert.equal(environment[name.trim()], value, name);
  }
  assert.ok(environment.PATH.split(":").includes(PATH.split(":")[0]));

  assert.deepEqual(recorded.environ(), [`HOME=${userInfo().homedir}`, "PATH=/usr/local/bin:/usr/bin:/bin"]);
  const fields = ["type", "action", "sessionKey", "chatType", "senderId", "commandSource"];
  const events = recorded.events().filter(({ type }) => type === "command");
  assert.equal(events.length, 2);
  for (const event of events) assert.deepEqual(Object.keys(event).filter((name) => name !== "id"), fields);
  for (const name of ["x.sh", "sigilum-authz-notify"]) assert.ok(!existsSync(join(workspace, `${name}.ran`)), `${name} ran`);
  assert.deepEqual(elsewhere.requests, []);
  return recorded;
}

test("the hook", async () => {
  const recorded = await attacked("hook", "hooks/sigilum-authz-notify");
  assert.deepEqual(recorded.args("hook"), ["hook", "run", "--openclaw-home", world.state]);
});

test("the plugin", async () => {
  const recorded = await attacked("plugin", ".sigilum/plugin");
  assert.deepEqual(recorded.args("serve"), ["serve", "--stdio", "--openclaw-home", world.state]);
});
