// A world whose OpenClaw talks Matrix: its bot on a real homeserver, people, and a scripted model.
import assert from "node:assert/strict";
import { startMatrixServer } from "./matrix.mjs";
import { Model } from "./model.mjs";
import { OPENCLAW_ENTRY, run } from "./process.mjs";
import { World } from "./world.mjs";

export class MatrixChat {
  people = {};

  /** With an account for each of these names; the `owners` of them are OpenClaw's too. `answer` is the model's. */
  async open({ names, owners, answer }) {
    const world = (this.world = await World.create());
    const install = ["plugins", "install", `@openclaw/matrix@${process.env.E2E_MATRIX}`, "--accept-capabilities", "--force"];
    // npm may need the machine's registry, proxy and certificates.
    const installed = await run(process.execPath, [OPENCLAW_ENTRY, ...install], { env: { ...process.env, ...world.env }, cwd: world.home });
    assert.equal(installed.code, 0, `${installed.stdout}\n${installed.stderr}`);
    this.server = await startMatrixServer(world.home);
    const registered = await Promise.all(["ocbot", ...names].map((name) => this.server.register(name)));
    this.bot = registered.shift();
    names.forEach((name, i) => (this.people[name] = registered[i]));
    const ids = owners.map((name) => this.people[name].id);
    const matrix = {
      enabled: true,
      homeserver: this.server.url,
      network: { dangerouslyAllowPrivateNetwork: true },
      accessToken: this.bot.token,
      autoJoin: "always",
      dm: { policy: "open", allowFrom: ["*"] },
      groupPolicy: "open",
      groupAllowFrom: ids,
      groups: { "*": { requireMention: false } },
    };
    this.model = new Model(answer);
    await this.model.listen();
    world.writeConfig({ more: `  commands: { ownerAllowFrom: ${JSON.stringify(ids.map((id) => `matrix:${id}`))} },\n` });
    const text = world.text().replace("  channels: {\n", `  channels: {\n    matrix: ${JSON.stringify(matrix)},\n`);
    const { models, defaults } = this.model.settings;
    const member = (object) => JSON.stringify(object).slice(1, -1);
    world.save(
      text
        .replace("plugins: { entries: { irc", "plugins: { entries: { matrix: { enabled: true }, irc")
        .replace("models: { ", `models: { ${member(models)}, `)
        .replace("agents: { defaults: { ", `agents: { defaults: { ${member(defaults)}, `),
    );
  }

  async close() {
    await this.world?.close();
    await this.server?.stop();
    await this.model?.close();
  }

  /** A direct chat of somebody's with the bot. */
  async direct(person) {
    const room = await person.room({ isDirect: true, people: [this.bot] });
    await person.sees(this.bot, room);
    return room;
  }
}
