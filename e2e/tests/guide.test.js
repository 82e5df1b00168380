// docs/agents.md shows what a server's own snippets say, so that whoever reads one has the other.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";

import { Claviger } from "../claviger.js";

const claviger = await Claviger.start({ flags: ["--public-url", "https://keys.example.com"] });
after(() => claviger.stop());
const guide = await readFile(new URL("../../docs/agents.md", import.meta.url), "utf8");

/** The guide's part about a client. */
const part = (heading) => guide.split(`\n### ${heading}\n`)[1].split("\n### ")[0];

const parts = {
  chatgpt: part("ChatGPT"),
  claude: part("Claude"),
  "claude-desktop": part("Claude Desktop"),
  cursor: part("Cursor"),
  vscode: part("VS Code"),
};

/** What the guide says where the server has a note. */
const noted = (client) =>
  client === "claude-desktop"
    ? /needs the program `claviger` there, by its whole path[^]*on Windows take `mcp-remote`/
    : /cannot send a second\s+credential/;

for (const [client, text] of Object.entries(parts)) {
  test(`the guide says of ${client} what the server says`, async () => {
    for (const require_api_token_auth of [false, true]) {
      const config = { methods: ["read"], tags: ["api_keys"], require_api_token_auth };
      const { id } = await claviger.createMcpServer({ name: "Support agent", config });
      const path = `/integrated-account/${claviger.integratedAccountId}/mcp/${id}/client-config?client=${client}`;
      const { snippet, place, note } = await claviger.done("GET", path);
      assert.ok(text.replaceAll("`", "").includes(place), `the guide does not say: ${place}`);
      const shown = snippet.split("\n").map((line) => `    ${line}`).join("\n");
      assert.ok(text.includes(`\n${shown}\n`), `the guide does not show:\n${shown}`);
      if (note) assert.match(text, noted(client));
    }
  });
}
