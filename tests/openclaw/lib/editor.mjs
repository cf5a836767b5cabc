// An editor that knows no lock: it reads the config, adds a line, and puts a new file in the old one's place.
import assert from "node:assert/strict";
import { closeSync, fsyncSync, openSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { start, until } from "./process.mjs";

/** renameat2, which Node does not offer; perl is on every Debian. */
const NUMBER = { x64: 316, arm64: 276 }[process.arch];
const HELPER = `$| = 1; while (<STDIN>) { chomp; my ($new, $name) = split /\\t/;
print syscall(${NUMBER}, -100, $new, -100, $name, 2) == 0 ? "done\\n" : "$!\\n"; }`;

export class Editor {
  /** How often it found another file than it had read, just before its save, and began again. */
  again = 0;
  #config;
  #temp;
  #helper;

  constructor(config) {
    this.#config = config;
    this.#temp = `${config}.editor`;
    this.#helper = start("perl", ["-e", HELPER]);
  }

  /**
   * Adds a variable to `env.vars` and saves. As careful editors do, it looks just before its save whether the file is
   * still what it read; what others write between this look and the save, it overwrites.
   *
   * To everybody else the save is a rename. It is an exchange, so that what was overwritten is known for certain:
   * gives { read, written, taken } as texts, and when the reading began and the save was done.
   */
  async add(name, value) {
    for (;;) {
      const began = performance.now();
      const read = readFileSync(this.#config, "utf8");
      const written = read.replace(/("?vars"?\s*:\s*\{)/, `$1 ${JSON.stringify(name)}: ${JSON.stringify(value)},`);
      assert.notEqual(written, read, "env.vars is gone");
      writeFileSync(this.#temp, written, { mode: 0o600 });
      const file = openSync(this.#temp, "r");
      fsyncSync(file);
      closeSync(file);
      if (readFileSync(this.#config, "utf8") !== read) {
        this.again++;
        continue;
      }
      await this.#exchange();
      const saved = performance.now();
      const taken = readFileSync(this.#temp, "utf8");
      unlinkSync(this.#temp);
      return { read, written, taken, began, saved };
    }
  }

  async #exchange() {
    const before = this.#helper.output.length;
    this.#helper.stdin.write(`${this.#temp}\t${this.#config}\n`);
    await until("the exchange", () => this.#helper.output.length > before || this.#helper.exitCode !== null, { every: 1 });
    assert.equal(this.#helper.output.slice(before), "done\n", this.#helper.errors);
  }

  async close() {
    this.#helper.stdin.end();
    await this.#helper.ended;
  }
}
