// Keeps one `sigilum-authz-notify serve --stdio` beside the OpenClaw gateway and puts its messages into the chat.
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { Resident } from "./resident.js";

const NAME = "sigilum-authz-notify";
const ID = `${NAME}-plugin`;
const here = dirname(fileURLToPath(import.meta.url));
// The directory hook of the same program, if it runs in this gateway, shares this object: one notice, not two.
// OpenClaw gives each handler its own copy of an event, but always the same array of messages: that array is the key.
const shared = (globalThis[Symbol.for(NAME)] ??= { answered: new WeakSet(), resident: undefined });

export default definePluginEntry({
  id: ID,
  name: "Sigilum authorization notices",
  description: "Says on /new and /reset which agents wait for approval in your Sigilum namespace.",
  register(api) {
    if (api.registrationMode !== "full") return;
    let resident;
    let logger = console;
    api.registerService({
      id: ID,
      start(ctx) {
        logger = ctx.logger;
        resident = new Resident({
          program: binary(),
          args: ["serve", "--stdio", "--openclaw-home", ctx.stateDir],
          logger,
          health: ctx.serviceHealth,
        });
        resident.start();
        shared.resident = resident;
      },
      async stop() {
        const ending = resident;
        resident = undefined;
        if (shared.resident === ending) shared.resident = undefined;
        await ending?.stop();
      },
    });
    api.registerHook(["command:new", "command:reset"], (event) => answer(event, resident, logger), {
      name: ID,
      description: "Says which agents wait for approval in your Sigilum namespace",
    });
  },
});

async function answer(event, resident, logger) {
  const messages = event?.messages;
  if (!resident || !Array.isArray(messages) || shared.answered.has(messages)) return;
  shared.answered.add(messages);
  try {
    const reply = await resident.ask(question(event));
    for (const line of strings(reply.logs)) logger.info(`${NAME}: ${line}`);
    messages.push(...strings(reply.messages));
  } catch (error) {
    logger.warn(`${NAME}: no answer: ${error?.code ?? error?.name ?? "unknown error"}; see: ${NAME} hook status`);
  }
}

// Of the config, which is full of secrets, the child gets the env of our own entry and nothing else.
function question({ type, action, sessionKey, context = {} }) {
  const entry = context.cfg?.hooks?.internal?.entries?.[NAME]?.env ?? {};
  const env = Object.fromEntries(Object.entries(entry).filter(([, value]) => typeof value === "string"));
  const { senderId, commandSource, sessionEntry } = context;
  const token = process.env.SIGILUM_OWNER_TOKEN; // by standard input: a child's environment holds no token
  return { type, action, sessionKey, chatType: sessionEntry?.chatType, senderId, commandSource, env, token };
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

function strings(list) {
  return Array.isArray(list) ? list.filter((item) => typeof item === "string" && item.length <= 4000).slice(0, 8) : [];
}
