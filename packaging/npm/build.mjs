#!/usr/bin/env node
// Makes the npm packages: `sigilum-authz-notify` (the OpenClaw plugin, a launcher for the command line) and one package
// for each platform with nothing but its binary.
//
//   node packaging/npm/build.mjs --out DIR [--version V] linux-x64=BINARY linux-arm64=BINARY …
//
// Prints the packed files, those of the platforms first: publish them in this order, as an install that finds the main
// package without its platform's ends well and brings no program. The version is Cargo.toml's; V is for trials.
import { chmodSync, copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const NAME = "sigilum-authz-notify";
export const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
/** What OpenClaw says of itself: the oldest that the plugin works on, and the one that it was built against. */
const OLDEST = "2026.5.5";
const NEWEST = "2026.9.6";

export function cargoVersion() {
  const [, version] = /^\[package\][^[]*?^version = "([^"]+)"/ms.exec(readFileSync(join(root, "Cargo.toml"), "utf8"));
  return version;
}

/** What every package says of itself. */
function common(version) {
  return { version, license: "Apache-2.0", ...repository() };
}

/** npm takes a signed statement of where a package was built only if the package names that repository. */
function repository() {
  const [, named] = /^repository = "([^"]+)"/m.exec(readFileSync(join(root, "Cargo.toml"), "utf8")) ?? [];
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: built } = process.env;
  const url = named ?? (server && built && `${server}/${built}`);
  return url ? { repository: { type: "git", url: `git+${url}.git` } } : {};
}

export function platformPackage(platform, version) {
  const [os, cpu] = platform.split("-");
  return {
    name: `${NAME}-${platform}`,
    ...common(version),
    description: `The program of ${NAME} for ${platform}.`,
    os: [os],
    cpu: [cpu],
    preferUnplugged: true,
    files: ["bin"],
  };
}

export function mainPackage(version) {
  const platforms = PLATFORMS.map((platform) => `${NAME}-${platform}`);
  const plugin = JSON.parse(readFileSync(join(root, "hooks/plugin/package.json"), "utf8"));
  return {
    name: NAME,
    ...common(version),
    description: plugin.description,
    keywords: ["openclaw", "openclaw-plugin", "sigilum", "authorization"],
    type: "module",
    engines: { node: ">=20" },
    bin: { [NAME]: `bin/${NAME}.js` },
    files: ["bin", "man", "completions", "*.js", "openclaw.plugin.json"],
    optionalDependencies: Object.fromEntries(platforms.map((name) => [name, version])),
    peerDependencies: { openclaw: `>=${OLDEST}` },
    peerDependenciesMeta: { openclaw: { optional: true } },
    openclaw: {
      ...plugin.openclaw,
      compat: { pluginApi: `>=${OLDEST}`, minGatewayVersion: OLDEST },
      build: { openclawVersion: NEWEST, pluginSdkVersion: NEWEST },
      install: {
        npmSpec: NAME,
        defaultChoice: "npm",
        minHostVersion: `>=${OLDEST}`,
        requiredPlatformPackages: platforms,
      },
    },
  };
}

function write(folder, contents) {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(contents, null, 2)}\n`);
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
}

function pack(folder, out) {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", out];
  const [{ filename }] = JSON.parse(execFileSync("npm", args, { cwd: folder, encoding: "utf8" }));
  return join(out, filename);
}

/** One platform's package; the binary is executable before it is packed. */
export function buildPlatform(platform, binary, version, out) {
  const folder = join(out, `${NAME}-${platform}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "bin"), { recursive: true });
  const program = join(folder, "bin", NAME);
  copyFileSync(binary, program);
  chmodSync(program, 0o755);
  write(folder, platformPackage(platform, version));
  return pack(folder, out);
}

/** The main package; `program` is one that runs here: it prints manual page and completions. */
export function buildMain(program, version, out) {
  const folder = join(out, NAME);
  rmSync(folder, { recursive: true, force: true });
  const plugin = join(root, "hooks/plugin");
  mkdirSync(join(folder, "bin"), { recursive: true });
  // One by one: a link, such as handler.js, is to become a file, and not every Node's cpSync does that.
  for (const file of readdirSync(plugin)) copyFileSync(join(plugin, file), join(folder, file));
  copyFileSync(join(here, "launcher.js"), join(folder, "bin", `${NAME}.js`));
  chmodSync(join(folder, "bin", `${NAME}.js`), 0o755);
  copyFileSync(join(root, "README.md"), join(folder, "README.md"));
  const manifest = join(folder, "openclaw.plugin.json");
  writeFileSync(manifest, `${JSON.stringify({ ...JSON.parse(readFileSync(manifest, "utf8")), version }, null, 2)}\n`);
  execFileSync(join(root, "packaging/release/pages.sh"), [folder, program]);
  const pages = readdirSync(join(folder, "man")).map((page) => `man/${page}`);
  write(folder, { ...mainPackage(version), man: pages });
  return pack(folder, out);
}

function main(args) {
  let out;
  let version = cargoVersion();
  const binaries = new Map();
  while (args.length > 0) {
    const arg = args.shift();
    const [platform, binary] = arg.split("=");
    if (arg === "--out") out = resolve(args.shift() ?? "");
    else if (arg === "--version") version = args.shift();
    else if (PLATFORMS.includes(platform) && binary) binaries.set(platform, resolve(binary));
    else throw `build.mjs: ${arg}? A platform and its binary: ${PLATFORMS.join(", ")}`;
  }
  const own = binaries.get(`${process.platform}-${process.arch}`);
  if (!out || !own) throw "build.mjs: give --out DIR, and the binary of this machine's platform among others";
  mkdirSync(out, { recursive: true });
  for (const [platform, binary] of binaries) console.log(buildPlatform(platform, binary, version, out));
  console.log(buildMain(own, version, out));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(error?.message ?? error);
    process.exitCode = 1;
  }
}
