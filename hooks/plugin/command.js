// Hands `/sigilum …` of a chat to the resident program, and its answer back. No logic here: who may what is decided there.
import { NAME, shared, typed } from "./handler.js";

const WITHIN_MS = 4000; // OpenClaw lets every direct chat wait for it

/** Registered in every mode: after a reload OpenClaw takes commands from the newest instance, the child from the first. */
export function command(api, home, missing) {
  return {
    name: "sigilum",
    description: "Sigilum: the agents that wait for approval. /sigilum help",
    acceptsArgs: true,
    requiredScopes: ["operator.approvals"],
    async handler(ctx) {
      const type = await chatType(api, ctx);
      const told = type === "direct" ? home : undefined; // a path of this machine is nothing for a group
      const see = `In a terminal: ${typed("hook status", told)}`;
      // Always text: whatever else would read as a fault of OpenClaw's, or go to the model.
      try {
        const { resident } = shared;
        if (!resident) return { text: `Sigilum: the program does not run. ${see}` };
        const reply = await resident.converse(facts(ctx, type), () => isOwnerStill(ctx), WITHIN_MS);
        for (const line of reply.logs ?? []) api.logger.info(`${NAME}: ${line}`);
        const { text, presentation } = reply.reply ?? {};
        if (typeof text !== "string" || text === "") throw { code: reply.error ?? "no text" };
        return presentation && hasButtons(api) ? { text, presentation } : { text };
      } catch (error) {
        const why = error?.code ?? error?.name ?? "unknown error";
        api.logger.warn(`${NAME}: no answer to /sigilum: ${why}`);
        if (why === "busy") return { text: "Sigilum: still working, ask again: /sigilum list" };
        return { text: `Sigilum: ${why === "missing" ? missing(told) : `no answer (${why}). ${see}`}` };
      }
    },
  };
}

/** Whether buttons go along: all that the plugin's config in openclaw.json says, and it is for the eye alone. */
export function hasButtons(api) {
  return api.pluginConfig?.buttons !== false;
}

/** What OpenClaw knows of who typed it, and where. */
function facts(ctx, chatType) {
  const { args, channel, senderId, from, sessionKey, accountId, senderIsOwner, gatewayClientScopes, assertOwnerCurrent } = ctx;
  return {
    text: args ?? "",
    channel,
    senderId,
    from,
    sessionKey,
    accountId,
    chatType,
    senderIsOwner: senderIsOwner ?? null,
    canAssertOwner: typeof assertOwnerCurrent === "function",
    gatewayClientScopes: gatewayClientScopes ?? null,
  };
}

async function chatType(api, { sessionKey, agentId }) {
  try {
    return (await api.runtime.agent.session.getSessionEntry({ sessionKey, agentId }))?.chatType;
  } catch {} // an OpenClaw that has no such thing: then nobody knows
}

/** OpenClaw throws where the sender is an owner no more. */
async function isOwnerStill(ctx) {
  try {
    await ctx.assertOwnerCurrent();
    return true;
  } catch {
    return false;
  }
}
