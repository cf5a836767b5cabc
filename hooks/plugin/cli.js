// `openclaw sigilum …`: our command line, for who has OpenClaw's alone on the PATH.
import { spawn } from "node:child_process";
import { userInfo } from "node:os";
import { join } from "node:path";
import { environment } from "./handler.js";

/** As openclaw.plugin.json has it too. */
export const CLI = {
  name: "sigilum",
  description: "Sigilum: log in, decide requests, set the notices up (sigilum-authz-notify)",
  hasSubcommands: true,
};
/** Options of OpenClaw's own that are followed by a value. */
const VALUED = ["--profile", "--container", "--log-level"];
/** Commands of one word that act on an OpenClaw home. */
const ALONE = ["login", "doctor", "watch", "setup"];

/** `launch()` gives { program, flags } or throws { code: "missing" }; `missing` says what to do then. */
export function registerCli(api, launch, missing) {
  const register = ({ program }) => {
    const command = program.command(CLI.name).description(CLI.description);
    command.argument("[words...]", "as of sigilum-authz-notify; --help lists them").helpOption(false).allowUnknownOption();
    command.action(() => run(launch, missing));
  };
  api.registerCli?.(register, { descriptors: [CLI] });
}

async function run(launch, missing) {
  let found;
  try {
    found = launch();
  } catch {
    console.error(`error: ${missing}`);
    process.exit(1);
  }
  const { argv, env } = process;
  const at = argv.findIndex((word, n) => n > 1 && word === CLI.name && !VALUED.includes(argv[n - 1]));
  const words = placed(argv.slice(at + 1), found.flags);
  // OpenClaw fills its environment from its config, which agents can edit. OPENCLAW_SHELL, an agent's shell, may only refuse.
  const kept = ["TERM", "LANG", "OPENCLAW_SHELL"].filter((name) => env[name] !== undefined).map((name) => [name, env[name]]);
  const child = spawn(found.program, words, { env: { ...environment(), ...Object.fromEntries(kept) }, stdio: "inherit" });
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => {}); // a terminal sends it to the child too
  const [code, signal] = await new Promise((resolve) => {
    child.on("error", (error) => (console.error(`error: could not run ${found.program}: ${error.code}`), resolve([1])));
    child.on("exit", (...how) => resolve(how));
  });
  process.exit(signal ? 1 : code);
}

/** The words, with the flags of this OpenClaw's home and config where that is not the account's default one. */
export function placed(words, flags, home = join(userInfo().homedir, ".openclaw")) {
  if (words.length < 2 && !ALONE.includes(words[0])) return words;
  if (["broker", "demo", "man", "completions", "help"].includes(words[0])) return words;
  const added = [];
  for (let n = 0; n < flags.length; n += 2) {
    const [flag, path] = flags.slice(n, n + 2);
    const typed = words.some((word) => word === flag || word.startsWith(`${flag}=`));
    const isNone = (flag === "--config" && words[0] === "watch") || path === home;
    if (!typed && !isNone) added.push(flag, path);
  }
  const end = words.includes("--") ? words.indexOf("--") : words.length;
  return [...words.slice(0, end), ...added, ...words.slice(end)];
}
