import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { comments, PLUGIN, HOOK, World } from "./lib/world.mjs";
import { ours, until } from "./lib/process.mjs";
let world, alice;
before(async () => { world = await World.create(); world.installObserver();
  world.writeConfig({ hooks: "  hooks: { internal: { enabled: true, entries: { 'e2e-observer': { enabled: true } } } },\n" }); });
after(() => world?.close());
const ask = async (label) => { const r = await alice.ask("ocbot", "/new"); console.log("##", label, "=>", r.text.slice(-60) , r.text.slice(0,20)); return r.text; };
const mark = (file, from, to) => { const t = readFileSync(file, "utf8"); assert.ok(t.includes(from)); writeFileSync(file, t.replace(from, to)); };

test.skip("hook", async () => {
  await world.login("--enable-authz-notify", "true");
  await world.sigilumOk("hook", "install");
  const h = join(world.state, "hooks", HOOK, "handler.js");
  mark(h, "event.messages.push(...strings(answer.messages))", "event.messages.push('OLDHANDLER', ...strings(answer.messages))");
  await world.boot();
  alice = await world.person("alice");
  world.api.claims = []; world.api.add({ service: "mail", agent: "a1" });
  await ask("hook old");
  console.log(await world.sigilumOk("hook", "install", "--force"));
  await sleep(3000);
  await ask("hook after install --force, no config change");
  await world.gateway.reloads(() => world.refresh());
  await sleep(3000);
  await ask("hook after refresh");
  const r = await world.openclaw("gateway", "restart"); console.log("## gateway restart", r.code, r.stdout.slice(0,600), r.stderr.slice(0,600));
});

test("plugin", async () => {


  await world.login("--enable-authz-notify", "false");
  console.log(await world.sigilumOk("hook", "install", "--as", "plugin"));
  const d = join(world.state, ".sigilum", "plugin");
  mark(join(d, "index.js"), "messages.push(...strings(reply.messages))", "messages.push('OLDINDEX', ...strings(reply.messages))");
  mark(join(d, "resident.js"), "this.#settle(reply?.id, (wait) => wait.resolve(reply));", "reply.messages?.push('OLDRESIDENT'); this.#settle(reply?.id, (wait) => wait.resolve(reply));");
  await world.boot();
  alice?.close(); alice = await world.person("alice");  world.api.claims = []; world.api.add({ service: "mail", agent: "a1" });
  await until("child", () => ours().length === 1);
  await ask("plugin old");
  console.log(await world.sigilumOk("hook", "install", "--as", "plugin", "--force"));
  await sleep(3000);
  await ask("plugin after install --force");
  await world.sigilumOk("hook", "install", "--as", "plugin", "--enable", "false");
  await sleep(6000);
  console.log("## ours after off", ours());
  await ask("plugin off");
  console.log(await world.sigilumOk("hook", "install", "--as", "plugin"));
  await sleep(6000);
  console.log("## ours after on", ours());
  await ask("plugin on again");
  console.log(world.gateway.log.split("\n").filter((l) => /reload|plugin|sigilum/i.test(l)).slice(-40).join("\n"));
});

test("upgrade path: files new AND config changed", async () => {
  const d = join(world.state, ".sigilum", "plugin");
  mark(join(d, "index.js"), "messages.push(...strings(reply.messages))", "messages.push('OLDINDEX2', ...strings(reply.messages))");
  mark(join(d, "resident.js"), "this.#settle(reply?.id, (wait) => wait.resolve(reply));", "reply.messages?.push('OLDRESIDENT2'); this.#settle(reply?.id, (wait) => wait.resolve(reply));");
  const r = await world.openclaw("gateway", "restart"); console.log("## gateway restart", r.code, r.stdout.slice(0,900), r.stderr.slice(0,900));
  await sleep(3000);
  await ask("plugin after gateway restart of unmanaged");
  const pid = world.gateway.pid; process.kill(pid, "SIGUSR1");
  await sleep(25000);
  alice?.close(); alice = await world.person("alice");  world.api.claims = []; world.api.add({ service: "mail", agent: "a1" });
  await ask("plugin after SIGUSR1");
  console.log("## same pid alive", world.gateway.child.exitCode, ours());
  console.log(world.gateway.log.split("\n").filter((l) => /reload|plugin|sigilum|restart/i.test(l)).slice(-15).join("\n"));
});
