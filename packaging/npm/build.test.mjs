// The packages as they are packed. SIGILUM_BIN names a binary for this machine.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PLATFORMS, buildMain, buildPlatform, cargoVersion, mainPackage, platformPackage } from "./build.mjs";

const NAME = "sigilum-authz-notify";
const BINARY = process.env.SIGILUM_BIN;
const HERE = `${process.platform}-${process.arch}`;
const version = cargoVersion();
let out;
let modules;
let launcher;
let packed;

before(() => {
  out = mkdtempSync(join(tmpdir(), "npm-packages-"));
  modules = join(out, "installed", "node_modules");
  packed = [buildPlatform(HERE, BINARY, version, out), buildMain(BINARY, version, out)];
  for (const file of packed) {
    const folder = join(modules, file.includes(HERE) ? `${NAME}-${HERE}` : NAME);
    mkdirSync(folder, { recursive: true });
    execFileSync("tar", ["xzf", file, "-C", folder, "--strip-components", "1"]);
  }
  launcher = join(modules, NAME, "bin", `${NAME}.js`);
});
after(() => rmSync(out, { recursive: true, force: true }));

test("all have Cargo.toml's version, and the main one wants just these", () => {
  assert.match(version, /^\d+\.\d+\.\d+$/);
  const main = mainPackage(version);
  const wanted = PLATFORMS.map((platform) => [`${NAME}-${platform}`, version]);
  assert.deepEqual(Object.entries(main.optionalDependencies), wanted);
  assert.deepEqual(main.openclaw.install.requiredPlatformPackages, wanted.map(([name]) => name));
  for (const platform of PLATFORMS) {
    const { name, os, cpu, version: its } = platformPackage(platform, version);
    assert.deepEqual([name, `${os}-${cpu}`, its], [`${NAME}-${platform}`, platform, version]);
  }
  const manifest = JSON.parse(readFileSync(join(modules, NAME, "openclaw.plugin.json"), "utf8"));
  assert.equal(manifest.version, version);
});

test("each names the repository that it is built in, without which npm takes no statement of that", () => {
  const before = { ...process.env };
  Object.assign(process.env, { GITHUB_SERVER_URL: "https://git.example", GITHUB_REPOSITORY: "us/it" });
  try {
    for (const made of [mainPackage(version), platformPackage(HERE, version)]) {
      assert.match(made.repository.url, /^git\+https:\/\/.+\.git$/);
    }
  } finally {
    process.env = before;
  }
});

test("what is packed is all that is needed", () => {
  const main = join(modules, NAME);
  for (const file of ["index.js", "handler.js", "LICENSE", "README.md", `man/${NAME}.1`, `completions/${NAME}.bash`]) {
    assert.ok(existsSync(join(main, file)), file);
  }
  // Each file that one of ours imports is there.
  for (const file of readdirSync(main).filter((name) => name.endsWith(".js"))) {
    for (const [, path] of readFileSync(join(main, file), "utf8").matchAll(/from "\.\/([^"]+)"/g)) {
      assert.ok(existsSync(join(main, path)), `${file}: ${path}`);
    }
  }
  assert.equal(statSync(join(modules, `${NAME}-${HERE}`, "bin", NAME)).mode & 0o777, 0o755);
});

test("npm puts each manual page where man looks, and asks nobody for packages that these files do not bring", () => {
  const prefix = join(out, "global");
  const npmrc = join(out, "npmrc");
  writeFileSync(npmrc, "registry=http://127.0.0.1:9/\nupdate-notifier=false\n");
  const env = { HOME: out, PATH: process.env.PATH, npm_config_userconfig: npmrc, npm_config_prefix: prefix };
  // As README.md has it.
  execFileSync("npm", ["install", "-g", "--offline", ...packed], { env, stdio: "pipe" });
  const commands = execFileSync(BINARY, ["man", "--list"], { encoding: "utf8" }).trim().split("\n");
  const pages = [NAME, ...commands.map((words) => `${NAME} ${words}`)].map((words) => `${words.replaceAll(" ", "-")}.1`);
  assert.deepEqual(readdirSync(join(prefix, "share/man/man1")), pages.sort());
  for (const page of pages) {
    const text = readFileSync(join(prefix, "share/man/man1", page), "utf8");
    assert.ok(text.includes(`.TH ${page.replace(/\.1$/, " 1")} `), page);
  }
  const installed = execFileSync(join(prefix, "bin", NAME), ["--version"], { env, encoding: "utf8" });
  assert.equal(installed, execFileSync(BINARY, ["--version"], { encoding: "utf8" }));
});

test("the launcher runs the program: its output, its exit code, its signals", async () => {
  const run = (...args) => spawnSync(process.execPath, [launcher, ...args], { encoding: "utf8", env: { HOME: out } });
  assert.equal(run("--version").stdout, execFileSync(BINARY, ["--version"], { encoding: "utf8" }));
  assert.equal(run("auth", "show").status, spawnSync(BINARY, ["auth", "show"], { env: { HOME: out } }).status);
  const child = spawn(process.execPath, [launcher, "serve", "--stdio", "--no-watch"], { env: { HOME: out } });
  child.stdin.write("{\n");
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGTERM");
  const [code, signal] = await new Promise((resolve) => child.once("exit", (...how) => resolve(how)));
  assert.deepEqual([code, signal], [0, null]);
});

test("without the platform's package it says so", () => {
  const alone = join(out, "alone", "node_modules", NAME);
  cpSync(join(modules, NAME), alone, { recursive: true });
  const { status, stderr } = spawnSync(process.execPath, [join(alone, "bin", `${NAME}.js`)], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`^error: the package ${NAME}-${HERE}, which brings the program, is not there`));
  assert.match(stderr, /\nnext: /);
});
