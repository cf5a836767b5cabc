// Which program the plugin starts, what of it shows in OpenClaw's health, and `openclaw sigilum …`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { WORK } from "./lib/process.mjs";

const plugin = (file) => join(process.env.E2E_ROOT, "hooks/plugin", file);
const { Health, missingProgram, ownProgram, personsCommand, pluginCommand } = await import(plugin("program.js"));
const { placed } = await import(plugin("cli.js"));
const NAME = "sigilum-authz-notify";
const PLATFORM = `${NAME}-${process.platform}-${process.arch}`;

let home;
beforeEach(() => (home = mkdtempSync(join(WORK, "program-"))));
afterEach(() => rmSync(home, { recursive: true }));

function file(path, text = "#!/bin/sh\n", mode = 0o755) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

/** Where OpenClaw installs the plugin of a home. */
const modules = () => join(home, "npm/projects", NAME, "node_modules");

test("the plugin starts its own package's program, else the recorded one, and none that lies elsewhere", () => {
  const root = join(modules(), NAME);
  const recorded = file(join(home, "recorded"));
  file(join(home, ".sigilum/hook.json"), JSON.stringify({ binary: recorded }), 0o600);
  const place = ["--openclaw-home", home];
  for (const elsewhere of ["node_modules", "npm/node_modules", "npm/projects/node_modules"]) {
    file(join(home, elsewhere, PLATFORM, "bin", NAME));
  }
  assert.deepEqual(pluginCommand(root, "/nowhere"), { program: recorded, flags: place });
  const own = file(join(modules(), PLATFORM, "bin", NAME));
  assert.deepEqual(pluginCommand(root, "/nowhere"), { program: own, flags: place });
  chmodSync(own, 0o757);
  assert.equal(pluginCommand(root, "/nowhere").program, recorded, "others may write to it");
  rmSync(own);
  const inner = file(join(root, "node_modules", PLATFORM, "bin", NAME));
  assert.equal(ownProgram(root), inner);
});

test("the own program is a plain file in plain folders, which only this user and root can write", () => {
  const root = join(modules(), NAME);
  const pkg = join(modules(), PLATFORM);
  const own = join(pkg, "bin", NAME);
  const open = (path) => () => chmodSync(path, 0o777);
  const linked = (path) => () => {
    renameSync(path, join(home, "moved"));
    symlinkSync(join(home, "moved"), path);
  };
  const anothers = (path) => () => process.getuid() === 0 ? chownSync(path, 65534, 65534) : chmodSync(path, 0o777);
  for (const change of [own, dirname(own), pkg, modules()].flatMap((path) => [open(path), linked(path), anothers(path)])) {
    file(own);
    assert.equal(ownProgram(root), own);
    change();
    assert.equal(ownProgram(root), undefined);
    rmSync(modules(), { recursive: true, force: true });
    rmSync(join(home, "moved"), { recursive: true, force: true });
  }
});

test("a person's command is told the config that the home's record names, not that of the home it was copied from", () => {
  const root = join(modules(), NAME);
  const binary = file(join(home, "recorded"));
  for (const [config, of, wanted] of [
    ["/etc/openclaw.json", home, "/etc/openclaw.json"],
    ["/etc/openclaw.json", "/another/home", undefined],
    ["work.json", undefined, join(home, "work.json")],
    ["../work.json", undefined, undefined],
    [7, undefined, undefined],
  ]) {
    file(join(home, ".sigilum/hook.json"), JSON.stringify({ binary, config, config_of: of }), 0o600);
    const flags = ["--openclaw-home", home, ...(wanted ? ["--config", wanted] : [])];
    assert.deepEqual(personsCommand(root), { program: binary, flags });
    assert.deepEqual(personsCommand("/nowhere", home), { program: binary, flags }, "by OpenClaw's idea of its home");
  }
});

test("files that hook install wrote look for no package", () => {
  const root = join(home, ".sigilum/plugin");
  file(join(home, ".sigilum", PLATFORM, "bin", NAME));
  file(join(root, "node_modules", PLATFORM, "bin", NAME));
  assert.equal(ownProgram(root), undefined);
  assert.throws(() => pluginCommand(root), { code: "missing" });
});

test("no environment leads to another program", async () => {
  const root = join(modules(), NAME);
  mkdirSync(root, { recursive: true });
  file(join(home, "planted", PLATFORM, "bin", NAME));
  const text = `import { ownProgram } from ${JSON.stringify(plugin("program.js"))}; console.log(ownProgram(${JSON.stringify(root)}));`;
  const env = { NODE_PATH: join(home, "planted"), HOME: join(home, "planted"), PATH: join(home, "planted", PLATFORM, "bin") };
  const child = spawn(process.execPath, ["--input-type=module", "-e", text], { env });
  let said = "";
  child.stdout.on("data", (part) => (said += part));
  await new Promise((resolve) => child.on("close", resolve));
  assert.equal(said, "undefined\n");
});

test("what is missing says which package brought no program", () => {
  assert.match(missingProgram(join(modules(), NAME)), /hook install --as plugin \(The plugin's npm package brought none for \S+-\S+\.\)$/);
  assert.match(missingProgram(join(home, ".sigilum/plugin")), /hook install --as plugin$/);
  const named = missingProgram(join(home, ".sigilum/plugin"), home);
  assert.ok(named.endsWith(` hook install --as plugin --openclaw-home '${home}'`), named);
  const own = missingProgram(join(home, ".sigilum/plugin"), join(userInfo().homedir, ".openclaw"));
  assert.doesNotMatch(own, /--openclaw-home/);
});

test("one health: why no program runs first, else what doctor finds", () => {
  const told = [];
  const health = new Health({ reportFailure: ({ message }) => told.push(message), clearFailure: () => told.push("fine") });
  health.found("no token");
  health.reportFailure(new Error("it ended"));
  health.found("no token, still");
  health.clearFailure();
  health.found(undefined);
  assert.deepEqual(told, ["no token", "it ended", "it ended", "no token, still", "fine"]);
  new Health(undefined).found("an OpenClaw without it");
});

test("openclaw sigilum names home and config where they are not the default ones", () => {
  const flags = ["--openclaw-home", "/h/.openclaw", "--config", "/etc/openclaw.json"];
  for (const [words, wanted] of [
    ["auth show", "auth show --openclaw-home /h/.openclaw --config /etc/openclaw.json"],
    ["auth show --config /x", "auth show --config /x --openclaw-home /h/.openclaw"],
    ["auth show --openclaw-home=/x", "auth show --openclaw-home=/x --config /etc/openclaw.json"],
    ["doctor", "doctor --openclaw-home /h/.openclaw --config /etc/openclaw.json"],
    ["watch --once", "watch --once --openclaw-home /h/.openclaw"],
    ["authz approve -- x", "authz approve --openclaw-home /h/.openclaw --config /etc/openclaw.json -- x"],
    ...["", "auth", "--help", "--version", "demo", "man auth login", "completions bash", "help auth", "broker log"].map((words) => [words, words]),
  ]) {
    assert.equal(placed(words.split(" ").filter(Boolean), flags).join(" "), wanted);
  }
  assert.deepEqual(placed(["doctor"], ["--openclaw-home", "/h/.openclaw"], "/h/.openclaw"), ["doctor"]);
});
