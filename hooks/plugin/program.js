// Which program the plugin starts, and how it is checked.
import { spawn } from "node:child_process";
import { lstatSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { NAME, command, environment, homeOf, isTrusted, missing, trusted } from "./handler.js";

const INSTALL = "hook install --as plugin";
const PLATFORM = `${process.platform}-${process.arch}`;
const FIRST_CHECK_MS = 5000; // after the start: OpenClaw is busy then
const CHECK_MS = 10 * 60_000;
const MAX_REPORT = 1024 * 1024;

/**
 * The program that came with the plugin's npm package, in the package of this platform beside it. Looked for there
 * alone, not as Node resolves packages: NODE_PATH and the folders above are nothing that an install vouches for.
 */
export function ownProgram(root) {
  const modules = dirname(root);
  if (basename(modules) !== "node_modules") return undefined;
  const places = [modules, join(root, "node_modules")];
  const programs = places.map((place) => join(place, `${NAME}-${PLATFORM}`, "bin", NAME));
  return programs.find((file) => isAlone(file, modules));
}

/** Whether a file is a plain one, in plain folders from `top` on, all of which we and root alone can write. */
function isAlone(file, top) {
  const stats = (path) => lstatSync(path, { throwIfNoEntry: false });
  const owned = (path) => {
    const found = stats(path);
    // A folder by the same rule as a file.
    return found?.isDirectory() && isTrusted({ uid: found.uid, gid: found.gid, mode: (found.mode & 0o7777) | 0o100000 });
  };
  const found = stats(file);
  if (!found || !isTrusted(found)) return false;
  let folder = dirname(file);
  while (folder !== top && owned(folder)) folder = dirname(folder);
  return folder === top && owned(top);
}

/** The program and its flags, for the plugin that lies in `root`; `stateDir` is OpenClaw's own idea of its home. */
export function pluginCommand(root, stateDir) {
  // Not `stateDir` first: a variable of the config can move it.
  return command(root, homeOf(root) ?? stateDir, ownProgram(root));
}

/**
 * The same for a command that is told the config too, where a record names another than the home's: one that a person
 * types, and `doctor`.
 */
export function personsCommand(root, stateDir) {
  const { program, flags } = pluginCommand(root, stateDir);
  const [, home] = flags;
  const config = home && recordedConfig(home);
  return { program, flags: config ? [...flags, "--config", config] : flags };
}

/** The config that a home's record names: from the home where it lies in it, else absolute, with the home that it is of. */
function recordedConfig(home) {
  const { config, config_of: of } = trusted(join(home, ".sigilum/hook.json"));
  if (typeof config !== "string") return undefined;
  const path = resolve(home, config);
  return path.startsWith(`${home}/`) || of === home ? path : undefined;
}

/** What is missing, and how to get it; `home` is named, where one is given. */
export function missingProgram(root, home) {
  if (basename(dirname(root)) !== "node_modules") return missing(INSTALL, home);
  return `${missing(INSTALL, home)} (The plugin's npm package brought none for ${PLATFORM}.)`;
}

/** Two ways to be unwell, one health: why no program runs, else what `doctor` finds. */
export class Health {
  #health;
  #program;
  #found;

  constructor(health) {
    this.#health = health;
  }

  reportFailure(error) {
    this.#program = error;
    this.#tell();
  }

  clearFailure() {
    this.#program = undefined;
    this.#tell();
  }

  found(text) {
    this.#found = text && new Error(text);
    this.#tell();
  }

  #tell() {
    const error = this.#program ?? this.#found;
    if (error) this.#health?.reportFailure(error);
    else this.#health?.clearFailure();
  }
}

/** Has `doctor` look now and then, and puts what failed into OpenClaw's health. Gives what ends that. */
export function checkHealth(health, launch) {
  let timer;
  const check = async () => {
    health.found(await doctor(launch));
    if (timer) timer = setTimeout(check, CHECK_MS).unref();
  };
  timer = setTimeout(check, FIRST_CHECK_MS).unref();
  return () => (clearTimeout(timer), (timer = undefined));
}

/** What `doctor` finds that must be mended, in one line; undefined where there is nothing, or nobody to ask. */
async function doctor(launch) {
  try {
    const { program, flags } = launch();
    const { findings } = JSON.parse(await output(program, ["doctor", "--json", ...flags]));
    const failed = findings.filter(({ state }) => state === "fail");
    return failed.map(({ text, next }) => (next ? `${text}; next: ${next}` : text)).join("; ") || undefined;
  } catch {
    return undefined; // no program: the child's keeper says so
  }
}

function output(program, args) {
  return new Promise((resolve, reject) => {
    // Without a PATH: it would ask OpenClaw about itself, which takes seconds.
    const options = { env: { ...environment(), PATH: "" }, cwd: "/", stdio: ["ignore", "pipe", "ignore"], timeout: 20_000 };
    const child = spawn(program, args, options);
    let text = "";
    child.on("error", reject).on("close", () => resolve(text));
    child.stdout.setEncoding("utf8").on("data", (part) => (text += part).length > MAX_REPORT && child.kill("SIGKILL"));
  });
}
