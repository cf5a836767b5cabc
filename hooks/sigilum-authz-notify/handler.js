// Hands OpenClaw events to the program `sigilum-authz-notify hook run` and its messages to the chat. No logic here.
import { spawn } from "node:child_process";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const NAME = "sigilum-authz-notify";
const DEADLINE_MS = 5000;
const MAX_ANSWER = 64 * 1024;
const EVENTS = new Set(["command:new", "command:reset", "gateway:startup"]);
// What the child may see of the gateway's environment: no secret among it.
const ENV = `HOME USER LOGNAME LANG LC_ALL TZ TMPDIR SSL_CERT_FILE SSL_CERT_DIR OPENCLAW_HOME OPENCLAW_STATE_DIR
  OPENCLAW_PROFILE OPENCLAW_CONFIG_PATH HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
  SIGILUM_NAMESPACE GATEWAY_SIGILUM_NAMESPACE SIGILUM_MODE SIGILUM_API_URL SIGILUM_DASHBOARD_URL SIGILUM_HOOK_TIMEOUT_MS
  SIGILUM_NOTIFY_SENDERS SIGILUM_NOTIFY_GROUPS SIGILUM_ALLOW_INSECURE_HTTP SIGILUM_API_DB SIGILUM_SOURCE_HOME`.split(/\s+/);
const here = dirname(fileURLToPath(import.meta.url));
// The plugin of the same program, if it runs in this gateway, shares this object: one notice, not two. The key is the
// array of messages: OpenClaw gives a plugin a copy of the event, but the same array.
const shared = (globalThis[Symbol.for(NAME)] ??= { answered: new WeakSet(), resident: undefined });

export default async function handler(event) {
  try {
    if (!EVENTS.has(`${event?.type}:${event?.action}`) || shared.resident?.ready) return;
    if (shared.answered.has(event.messages)) return;
    shared.answered.add(event.messages);
    const answer = JSON.parse(await ask(binary(), JSON.stringify(question(event))));
    for (const line of strings(answer.logs)) console.log(`[${NAME}] ${line}`);
    event.messages.push(...strings(answer.messages));
  } catch (error) {
    shared.answered.delete(event?.messages); // nothing was said: the plugin, asked after us, may
    console.warn(`[${NAME}] no answer: ${error?.code ?? error?.name ?? "unknown error"}; see: ${NAME} hook status`);
  }
}

function question({ type, action, sessionKey, context = {} }) {
  const entry = context.cfg?.hooks?.internal?.entries?.[NAME]?.env ?? {};
  const env = Object.fromEntries(Object.entries(entry).filter(([, value]) => typeof value === "string"));
  const { senderId, commandSource, sessionEntry } = context;
  const state = here.slice(0, Math.max(0, here.lastIndexOf(`${sep}hooks${sep}`)));
  const home = [".sigilum", "openclaw.json"].some((name) => existsSync(join(state, name))) ? state : undefined;
  const token = process.env.SIGILUM_OWNER_TOKEN; // by standard input, as other processes may read an environment
  return { type, action, sessionKey, chatType: sessionEntry?.chatType, senderId, commandSource, home, env, token };
}

// Never named by the config, which agents can edit; the recorded file must be ours alone to write.
function binary() {
  if (process.env.SIGILUM_AUTHZ_NOTIFY_BIN) return process.env.SIGILUM_AUTHZ_NOTIFY_BIN;
  try {
    const record = join(here, "install.json");
    const { mode, uid } = lstatSync(record);
    const { binary } = JSON.parse(readFileSync(record, "utf8"));
    const safe = (mode & 0o170022) === 0o100000 && [0, process.getuid()].includes(uid);
    if (safe && isAbsolute(binary) && existsSync(binary)) return binary;
  } catch {} // none, or not one of ours
  return NAME;
}

function ask(program, input) {
  return new Promise((resolve, reject) => {
    const env = Object.fromEntries(ENV.filter((key) => process.env[key] !== undefined).map((key) => [key, process.env[key]]));
    env.PATH = (process.env.PATH ?? "").split(delimiter).filter(isAbsolute).join(delimiter);
    const child = spawn(program, ["hook", "run"], { env, cwd: "/", stdio: ["pipe", "pipe", "ignore"] });
    let output = "";
    const done = (code) => (clearTimeout(timer), code === 0 ? resolve(output) : reject({ code: `exit ${code}` }));
    const stop = (code) => (clearTimeout(timer), child.kill("SIGKILL"), child.stdout.destroy(), reject({ code }));
    const timer = setTimeout(stop, DEADLINE_MS, "deadline");
    child.on("error", (error) => stop(error.code)).on("close", done);
    child.stdout.setEncoding("utf8").on("data", (part) => (output += part).length > MAX_ANSWER && stop("too long"));
    child.stdin.on("error", () => {}).end(input); // a child that ends early is judged by its exit code
  });
}

function strings(list) {
  return Array.isArray(list) ? list.filter((item) => typeof item === "string" && item.length <= 4000).slice(0, 8) : [];
}
