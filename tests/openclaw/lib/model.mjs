// A language model on loopback that says what the test wants, by the API of OpenAI's that most servers speak.
import http from "node:http";

export class Model {
  /** Every request: the names of the tools that the model may call. */
  requests = [];
  #server;
  #answer;

  /** `answer` is given the messages of a request, and gives a text or `{ tool, with }`, a call of a tool. What
   *  OpenClaw asks unattended (it greets a room that it joined) gets the answer that says nothing in a chat. */
  constructor(answer) {
    this.#answer = answer;
  }

  async listen() {
    this.#server = http.createServer(async (request, response) => {
      let body = "";
      for await (const part of request.setEncoding("utf8")) body += part;
      const { messages = [], tools = [] } = JSON.parse(body || "{}");
      this.requests.push(tools.map((tool) => tool.function.name));
      response.writeHead(200, { "content-type": "text/event-stream" });
      const unattended = JSON.stringify(messages).includes("This is an unattended scheduled run.");
      response.end(this.#events(unattended ? "NO_REPLY" : this.#answer(messages)));
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  /** Members of openclaw.json's `models` and `agents.defaults` that lead OpenClaw here. */
  get settings() {
    const model = { id: "scripted", name: "Scripted", reasoning: false, input: ["text"], contextWindow: 120_000, maxTokens: 8192 };
    const baseUrl = `http://127.0.0.1:${this.#server.address().port}/v1`;
    const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
    return {
      models: { providers: { e2e: { baseUrl, apiKey: "none", api: "openai-completions", models: [{ ...model, cost }] } } },
      defaults: { model: { primary: "e2e/scripted" } },
    };
  }

  async close() {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve()));
  }

  #events(answer) {
    const call = { index: 0, id: `call_${this.requests.length}`, type: "function" };
    const delta = answer.tool
      ? { tool_calls: [{ ...call, function: { name: answer.tool, arguments: JSON.stringify(answer.with) } }] }
      : { content: answer };
    const choices = [
      { index: 0, delta: { role: "assistant", ...delta }, finish_reason: null },
      { index: 0, delta: {}, finish_reason: answer.tool ? "tool_calls" : "stop" },
    ];
    const chunk = { id: "e2e", object: "chat.completion.chunk", created: 0, model: "scripted" };
    return [...choices.map((choice) => JSON.stringify({ ...chunk, choices: [choice] })), "[DONE]"].map((data) => `data: ${data}\n\n`).join("");
  }
}
