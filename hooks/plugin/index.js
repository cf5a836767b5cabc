// Keeps one `sigilum-authz-notify serve --stdio` beside the OpenClaw gateway and puts its messages into the chat.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { command as chatCommand } from "./command.js";
import { NAME, answer, command, homeOf, missing, shared } from "./handler.js";
import { push } from "./push.js";
import { Resident } from "./resident.js";

const HOOK_ID = `${NAME}-plugin`; // not the directory hook's, which has an entry of its own
const INSTALL = "hook install --as plugin";

export default definePluginEntry({
  id: NAME,
  name: "Sigilum authorization notices",
  description: "Says on /new and /reset which agents wait for approval in your Sigilum namespace.",
  register(api) {
    api.registerCommand(chatCommand(api, missing(INSTALL)));
    if (api.registrationMode !== "full") return;
    const root = api.rootDir ?? dirname(fileURLToPath(import.meta.url)); // what runs may be a copy from elsewhere
    const installed = () => existsSync(join(root, "index.js"));
    let mine;
    api.registerService({
      id: NAME,
      start({ stateDir, logger, serviceHealth }) {
        const resident = new Resident({
          command() {
            // Not `stateDir` first: a variable of the config can move it.
            const { program, flags } = command(root, homeOf(root) ?? stateDir);
            return { program, args: ["serve", "--stdio", ...flags] };
          },
          installed,
          push: (message) => push(message, () => api.runtime.config.current()),
          missing: missing(INSTALL),
          logger,
          health: serviceHealth,
        });
        const before = shared.resident;
        shared.resident = mine = resident;
        if (!before) return resident.start();
        return before.stop().then(() => shared.resident === resident && resident.start());
      },
      async stop() {
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
      return answer(event, (question) => resident.ask(question), log, INSTALL);
    };
    api.registerHook(["command:new", "command:reset"], hook, {
      name: HOOK_ID,
      description: "Says which agents wait for approval in your Sigilum namespace",
    });
  },
});
