// A real IRC server on loopback, and people who talk to it.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { start, until } from "./process.mjs";

/** A free port of 127.0.0.1. */
export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Starts ngircd; gives { port, stop }. */
export async function startIrcServer(folder) {
  const port = await freePort();
  const config = join(folder, "ngircd.conf");
  const lines = [
    "[Global]",
    "Name = irc.e2e.test",
    "Info = end to end test",
    "Listen = 127.0.0.1",
    `Ports = ${port}`,
    "MotdPhrase = welcome",
    "[Limits]",
    "MaxNickLength = 30",
    "MaxConnectionsIP = 0",
    "MaxPenaltyTime = 0", // else it slows down who connects often, as the bot does for each reply
    "[Options]",
    "DNS = no",
    "Ident = no",
    "PAM = no",
  ];
  writeFileSync(config, `${lines.join("\n")}\n`, { mode: 0o600 });
  const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: process.env.NGIRCD_LIBRARIES ?? "" };
  const child = start(process.env.NGIRCD, ["-n", "-f", config], { env });
  await until("ngircd to listen", () => {
    if (child.exitCode !== null) throw new Error(`ngircd ended: ${child.output}${child.errors}`);
    return new Promise((resolve) => {
      const socket = net.connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true)));
      socket.on("error", () => resolve(false));
    });
  });
  return {
    port,
    async stop() {
      child.kill();
      await child.ended;
    },
  };
}

/** One person on IRC. */
export class Person {
  /** What came: { at, from, to, text }, in order. */
  heard = [];
  #socket;
  #joined = new Set();
  #onLine = () => {};

  static async connect(port, nick) {
    const person = new Person();
    person.nick = nick;
    person.#socket = net.connect(port, "127.0.0.1");
    let welcome = false;
    let rest = "";
    person.#socket.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\r\n");
      rest = lines.pop();
      for (const line of lines) {
        person.#onLine(line);
        if (line.startsWith("PING")) person.#send(`PONG${line.slice(4)}`);
        if (/^:\S+ (376|422) /.test(line)) welcome = true;
        const joined = /^:([^!]+)\S* JOIN :?(\S+)/.exec(line);
        if (joined?.[1] === nick) person.#joined.add(joined[2]);
        const said = /^:([^!\s]+)\S* PRIVMSG (\S+) :(.*)$/.exec(line);
        if (said) person.heard.push({ at: performance.now(), from: said[1], to: said[2], text: said[3] });
      }
    });
    await once(person.#socket, "connect");
    person.#send(`NICK ${nick}`);
    person.#send(`USER ${nick} 0 * :${nick}`);
    await until(`${nick}'s welcome`, () => welcome);
    return person;
  }

  async join(channel) {
    this.#send(`JOIN ${channel}`);
    await until(`${this.nick} in ${channel}`, () => this.#joined.has(channel));
  }

  /** Waits until the nick is on the server, or in the channel. */
  async sees(nick, channel) {
    const [question, answer] = channel ? [`NAMES ${channel}`, "353"] : [`ISON ${nick}`, "303"];
    const there = new RegExp(`^:\\S+ ${answer} .*:(?:.*[ @+])?${nick}(?: |$)`);
    let found = false;
    this.#onLine = (line) => (found ||= there.test(line));
    await until(`${nick} ${channel ? `in ${channel}` : "on IRC"}`, async () => {
      this.#send(question);
      await sleep(200);
      return found;
    }, { timeout: 60_000 });
  }

  /** Says something. */
  says(to, text) {
    this.#send(`PRIVMSG ${to} :${text}`);
  }

  /**
   * Says something and gives the bot's first answers: { text, took (ms to the first line), lines }.
   * An answer longer than a line of IRC comes in several: what follows within `quiet` ms belongs to it. `fits`: where
   * answers to something else may come first.
   */
  async ask(to, text, { quiet = 1000, timeout = 180_000, fits = /(?:)/ } = {}) {
    const before = this.heard.length;
    const began = performance.now();
    this.#send(`PRIVMSG ${to} :${text}`);
    const place = to.startsWith("#") ? to : this.nick;
    const answers = () => this.heard.slice(before).filter((line) => line.to === place && line.from.startsWith("ocbot"));
    const first = await until(`an answer to ${text} in ${place}`, () => answers().find((line) => fits.test(line.text)), { timeout, every: 1 });
    for (let last; last !== answers().length; await sleep(quiet)) last = answers().length;
    const lines = answers();
    return { took: first.at - began, lines, text: lines.map((line) => line.text).join(" ") };
  }

  close() {
    this.#socket.destroy();
  }

  #send(line) {
    this.#socket.write(`${line}\r\n`);
  }
}
