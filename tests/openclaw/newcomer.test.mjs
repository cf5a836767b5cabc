// The README's first way in: a person with Node and OpenClaw, the packed files, and no registry that could be asked.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { NAMESPACE, PLUGIN, World } from "./lib/world.mjs";
import { BINARY, run } from "./lib/process.mjs";
import { sevenClaims } from "./lib/steps.mjs";

const ROOT = process.env.E2E_ROOT;
const PLATFORM = `${process.platform}-${process.arch}`;

let world;
let packages;

before(async () => {
  world = await World.create();
  const npm = execFileSync("/bin/sh", ["-c", "command -v npm"], { encoding: "utf8" }).trim();
  const prefix = join(world.home, "global");
  world.path = [join(prefix, "bin"), dirname(process.execPath), dirname(npm), "/usr/bin", "/bin"].join(":");
  writeFileSync(join(world.home, ".npmrc"), `registry=http://127.0.0.1:9/\nprefix=${prefix}\nupdate-notifier=false\n`);
  world.writeConfig();
  const args = [join(ROOT, "packaging/npm/build.mjs"), "--out", join(world.home, "packages"), `${PLATFORM}=${BINARY}`];
  packages = execFileSync(process.execPath, args, { env: world.env, encoding: "utf8" }).trim().split("\n");
});
after(() => world?.close());

test("from nothing to the notice in the chat", async () => {
  const token = await world.ownerToken();
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  for (const [program, args, input] of [
    ["npm", ["install", "-g", "--offline", ...packages]],
    [PLUGIN, ["auth", "login", "--mode", "managed", "--namespace", NAMESPACE, "--api-url", world.api.url, "--owner-token-stdin"], token],
    [PLUGIN, ["hook", "install", "--as", "plugin"]],
  ]) {
    const { code, stdout, stderr } = await run("/usr/bin/env", [program, ...args], { env: world.env, cwd: world.home, input });
    assert.equal(code, 0, `${program} ${args.join(" ")}\n${stdout}\n${stderr}`);
    console.log(`      ${program} ${args.slice(0, 2).join(" ")}: after ${seconds()}`);
  }
  await world.boot();
  const alice = await world.person("alice");
  sevenClaims(world.api);
  assert.match((await alice.ask("ocbot", "/new")).text, /Sigilum: 7 requests wait for your approval/);
  console.log(`      from nothing to the notice: 3 commands and the start of the gateway, ${seconds()}`);
  const doctor = await run("/usr/bin/env", [PLUGIN, "doctor"], { env: world.env, cwd: world.home });
  assert.equal(doctor.code, 0, doctor.stdout);
});
