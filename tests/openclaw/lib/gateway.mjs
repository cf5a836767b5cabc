// The real OpenClaw gateway, one process, with its log.
import { setTimeout as sleep } from "node:timers/promises";
import { BINARY, OPENCLAW_ENTRY, start, until, withEnvironment } from "./process.mjs";

export class Gateway {
  /** Starts it and waits until it is ready; `took` says how long that was. */
  static async boot(world) {
    const gateway = new Gateway();
    gateway.mark = world.mark;
    const began = Date.now();
    const env = { ...world.env, ...world.gatewayEnv };
    gateway.child = start(process.execPath, [OPENCLAW_ENTRY, "gateway", "run"], { env, cwd: world.home });
    await gateway.logged(/\[gateway\] ready/, { timeout: 240_000 });
    gateway.took = Date.now() - began;
    console.log(`      gateway ready after ${(gateway.took / 1000).toFixed(1)} s`);
    return gateway;
  }

  get pid() {
    return this.child.pid;
  }

  get log() {
    return this.child.output + this.child.errors;
  }

  /** Where the log ends now: what is awaited from here on is new. */
  here() {
    return { out: this.child.output.length, err: this.child.errors.length };
  }

  since({ out, err }) {
    return this.child.output.slice(out) + this.child.errors.slice(err);
  }

  /** Waits for a line of the log. */
  logged(pattern, { from = { out: 0, err: 0 }, timeout = 30_000 } = {}) {
    return until(
      `the gateway to log ${pattern}`,
      () => {
        if (this.child.exitCode !== null) throw new Error(`the gateway ended:\n${this.log}`);
        return pattern.exec(this.since(from));
      },
      { timeout },
    );
  }

  /** Does something and waits until the gateway has taken up the change of its config, without a restart. */
  async reloads(action, { timeout = 30_000 } = {}) {
    const from = this.here();
    const done = await action();
    await this.logged(/\[reload\] config hot reload applied/, { from, timeout });
    return done;
  }

  /** The same where the change may be one that the gateway restarts itself for, in its own process. */
  async takesUp(action) {
    const from = this.here();
    const done = await action();
    await this.logged(/\[reload\] config hot reload applied|\[gateway\] ready/, { from, timeout: 120_000 });
    return done;
  }

  /** Ends it and, a second later, what its helpers left. Ours must end by themselves. */
  async stop(signal = "SIGTERM") {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill(signal);
      const forced = setTimeout(() => this.child.kill("SIGKILL"), 20_000);
      await this.child.gone;
      clearTimeout(forced);
    }
    await sleep(1000);
    const left = withEnvironment(this.mark).filter(({ exe }) => exe !== BINARY);
    for (const { pid } of left) process.kill(pid, "SIGKILL");
  }
}
