#!/usr/bin/env node
// Draws docs/chat.svg, the README's picture, from docs/chat.json: what was said in a direct chat of the end-to-end run
// over Matrix (tests/openclaw/chat-matrix.test.mjs), which fails when it says anything else.
//
//   node packaging/picture.mjs [--check]    --check: draws nothing, fails where the picture is not current
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const docs = resolve(dirname(fileURLToPath(import.meta.url)), "../docs");
const WIDTH = 760;
const COLUMNS = 84; // characters a line, at most
const CHARACTER = 7.3; // pixels of a monospace font of 12 px, and a little more
const LINE = 18;
const PADDING = 12;

/** A text's lines, broken at blanks. */
function lines(text) {
  return text.split("\n").flatMap((line) => {
    const broken = [""];
    for (const word of line.split(" ")) {
      const longer = broken.at(-1) ? `${broken.at(-1)} ${word}` : word;
      if (longer.length > COLUMNS) broken.push(word);
      else broken[broken.length - 1] = longer;
    }
    return broken;
  });
}

const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);

/** The picture of a conversation: [{ from: "you" | "openclaw", text }]. */
export function draw(conversation) {
  let top = 16;
  const bubbles = conversation.map(({ from, text }) => {
    const rows = lines(text);
    const width = Math.round(Math.max(...rows.map((row) => row.length)) * CHARACTER) + 2 * PADDING;
    const height = rows.length * LINE + 2 * PADDING - 4;
    const left = from === "you" ? WIDTH - 16 - width : 16;
    const spans = rows.map((row, at) => `<tspan x="${left + PADDING}" y="${top + PADDING + 11 + at * LINE}">${escaped(row)}</tspan>`);
    const box = `<rect class="${from}" x="${left}" y="${top}" width="${width}" height="${height}" rx="10"/>`;
    top += height + 10;
    return `${box}\n<text class="${from}">${spans.join("\n")}</text>`;
  });
  const height = top + 6;
  const said = conversation.map(({ from, text }) => `${from === "you" ? "You" : "OpenClaw"}: ${text}`).join("\n");
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">
<title>A notice, and an approval, in a chat with OpenClaw</title>
<desc>${escaped(said)}</desc>
<style>
svg { background: #f4f5f7; }
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; fill: #1d2430; }
rect.openclaw { fill: #ffffff; stroke: #d9dde4; }
rect.you { fill: #2f6fde; }
text.you { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171c; }
  text { fill: #e6e9ee; }
  rect.openclaw { fill: #232830; stroke: #3a414d; }
}
</style>
${bubbles.join("\n")}
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const svg = draw(JSON.parse(readFileSync(resolve(docs, "chat.json"), "utf8")));
  const file = resolve(docs, "chat.svg");
  if (process.argv[2] !== "--check") writeFileSync(file, svg);
  else if (readFileSync(file, "utf8") !== svg) {
    console.error("docs/chat.svg is not what docs/chat.json makes\nnext: node packaging/picture.mjs");
    process.exitCode = 1;
  }
}
