// Keeps one `sigilum-authz-notify serve --stdio` beside the OpenClaw gateway and puts its messages into the chat.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { registerCli } from "./cli.js";
import { command as chatCommand, hasButtons } from "./command.js";
import { NAME, answer, homeOf, shared } from "./handler.js";
import { Health, checkHealth, missingProgram, personsCommand, pluginCommand } from "./program.js";
import { push } from "./push.js";
import { Resident } from "./resident.js";

const HOOK_ID = `${NAME}-plugin`; // not the directory hook's, which has an entry of its own

export default definePluginEntry({
  id: NAME,
  name: "Sigilum authorization notices",
  description: "Says on /new and /reset which agents wait for approval in your Sigilum namespace.",
  register(api) {
    const root = api.rootDir ?? dirname(fileURLToPath(import.meta.url)); // what runs may be a copy from elsewhere
    const home = homeOf(root);
    const missing = missingProgram(root, home);
    registerCli(api, () => personsCommand(root), missing);
    api.registerCommand(chatCommand(api, home, (home) => missingProgram(root, home)));
    if (api.registrationMode !== "full") return;
    const installed = () => existsSync(join(root, "index.js"));
    let mine;
    let endChecks;
    api.registerService({
      id: NAME,
      start({ stateDir, logger, serviceHealth }) {
        const health = new Health(serviceHealth);
        const launch = () => pluginCommand(root, stateDir);
        endChecks = checkHealth(health, () => personsCommand(root, stateDir));
        const resident = new Resident({
          command() {
            const { program, flags } = launch();
            return { program, args: ["serve", "--stdio", ...flags] };
          },
          installed,
          push: (message) => push(message, () => api.runtime.config.current(), hasButtons(api)),
          missing,
          logger,
          health,
        });
        const before = shared.resident;
        shared.resident = mine = resident;
        if (!before) return resident.start();
        return before.stop().then(() => shared.resident === resident && resident.start());
      },
      async stop() {
        endChecks?.();
        if (shared.resident === mine) shared.resident = undefined;
        await mine?.stop();
      },
    });
    // OpenClaw may register twice and start the service of one but call the hook of the other: hence `shared`.
    const hook = (event) => {
      const { resident } = shared;
      if (!resident) return;
      if (!installed()) return void resident.stop(); // uninstalled under a gateway that goes on
      resident.start();
      const log = (level, text) => api.logger[level](`${NAME}: ${text}`);
      return answer(event, (question) => resident.ask(question), log, missing, home);
    };
    api.registerHook(["command:new", "command:reset"], hook, {
      name: HOOK_ID,
      description: "Says which agents wait for approval in your Sigilum namespace",
    });
  },
});
