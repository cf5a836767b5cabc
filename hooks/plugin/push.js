// Sends messages that nobody asked for into the owner's chat, for the program, which decides what is told and when.
import { shared } from "./handler.js";

const KEPT = 100;
// By the message's key: one that is handed over again, by a child that was restarted, goes out once.
shared.pushes ??= new Map();

/** What became of a message, in OpenClaw's words. Never throws. */
export function push({ key, ...message }, config, buttons) {
  const { pushes } = shared;
  const known = pushes.get(key);
  if (known) return known;
  const result = send(message, config, buttons);
  pushes.set(key, result);
  if (pushes.size > KEPT) pushes.delete(pushes.keys().next().value);
  return result;
}

async function send({ channel, to, text, presentation }, config, buttons) {
  try {
    const { sendDurableMessageBatch } = await import("openclaw/plugin-sdk/channel-outbound");
    const payloads = [{ text, ...(presentation && buttons && { presentation }) }];
    const { status, error } = await sendDurableMessageBatch({ cfg: config(), channel, to, payloads });
    return { status, code: codeOf(error) };
  } catch (error) {
    return { status: "thrown", code: codeOf(error) };
  }
}

/** An error's code, or that of what caused it. */
function codeOf(error) {
  for (let at = error; at && typeof at === "object"; at = at.cause) if (typeof at.code === "string") return at.code;
}
