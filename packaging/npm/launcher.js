#!/usr/bin/env node
// Runs the program of this machine's platform package in this process's place, as far as Node can: same arguments, same
// terminal, its exit code; signals pass.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";

const NAME = "sigilum-authz-notify";
const platform = `${process.platform}-${process.arch}`;

function program() {
  try {
    return createRequire(import.meta.url).resolve(`${NAME}-${platform}/bin/${NAME}`);
  } catch {
    return undefined;
  }
}

const binary = program();
if (binary) {
  const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`could not run ${binary}: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (!signal) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
} else {
  const known = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
  if (known.includes(platform)) {
    const why = `the package ${NAME}-${platform}, which brings the program, is not there: npm left optional packages out`;
    fail(why, "run the same npm install again, with --include=optional");
  } else {
    fail(`there is no program for ${platform}, only for ${known.join(", ")}`, "build it from its source, with Rust");
  }
}

function fail(why, next) {
  console.error(`error: ${why}`);
  if (next) console.error(`next: ${next}`);
  process.exit(1);
}
