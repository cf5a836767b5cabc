// A Sigilum API on loopback that keeps the contract of the local one for claims, and verifies tokens for real.
import { createHmac, timingSafeEqual } from "node:crypto";
import http from "node:http";

export class SigilumApi {
  /** What is pending: rows as the API gives them, newest first. */
  claims = [];
  /** Every request: { method, path, token, status, took } (took in ms). */
  requests = [];
  #secret;
  #server;

  constructor(secret) {
    this.#secret = secret;
  }

  async listen() {
    this.#server = http.createServer((request, response) => this.#answer(request, response));
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  async close() {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve()));
  }

  /** Adds pending claims, the newest last; age in seconds. */
  add(...claims) {
    for (const { service, agent, ip = "203.0.113.7", subject = null, age = 60, ...given } of claims) {
      const id = given.id ?? `claim_${this.requests.length}_${this.claims.length}`;
      this.claims.unshift({
        claim_id: id,
        namespace: "",
        service,
        public_key: `ed25519:${Buffer.from(id).toString("base64")}`,
        agent_ip: ip,
        subject,
        agent_id: null,
        agent_name: agent,
        status: "pending",
        created_at: new Date(Date.now() - age * 1000).toISOString(),
        approved_at: null,
        revoked_at: null,
      });
    }
  }

  #answer(request, response) {
    const began = performance.now();
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    const reply = (status, body) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body), () => {
        this.requests.push({ method: request.method, path: request.url, token, status, took: performance.now() - began });
      });
    };
    const url = new URL(request.url, this.url);
    if (url.pathname === "/health") return reply(200, { status: "ok", timestamp: new Date().toISOString() });
    if (url.pathname.endsWith("/")) return reply(401, { error: "Missing signature", code: "SIGNATURE_MISSING" });
    const one = /^\/v1\/claims\/([^/]+)(?:\/(approve|reject|revoke))?$/.exec(url.pathname);
    if (one) return this.#one(request.method, one[1], one[2], this.#verify(token ?? ""), reply);
    if (/^\/v1\/namespaces\/[^/]+\/usage$/.test(url.pathname)) return reply(200, { rows: [] });
    const namespace = /^\/v1\/namespaces\/([^/]+)\/claims$/.exec(url.pathname)?.[1];
    if (!namespace || request.method !== "GET") return reply(404, { error: "Not found", code: "NOT_FOUND" });
    if (!token) return reply(401, { error: "No token", code: "UNAUTHORIZED" });
    const owner = this.#verify(token);
    if (!owner) return reply(401, { error: "Bad or expired token", code: "TOKEN_EXPIRED" });
    if (owner.namespace !== namespace) return reply(403, { error: "Another namespace", code: "FORBIDDEN" });
    const status = url.searchParams.get("status");
    const limit = Number(url.searchParams.get("limit") ?? 50);
    const offset = Number(url.searchParams.get("offset") ?? 0);
    if (!Number.isInteger(limit) || limit < 1 || limit > 200) return reply(400, { error: "Bad limit", code: "VALIDATION_ERROR" });
    const found = this.claims.filter((claim) => !status || claim.status === status);
    const page = found.slice(offset, offset + limit).map((claim) => ({ ...claim, namespace }));
    const has_more = offset + page.length < found.length;
    reply(200, { claims: page, pagination: { limit, offset, total: found.length, has_more } });
  }

  /** One claim: read, or decided. */
  #one(method, id, verb, owner, reply) {
    if (!owner) return reply(401, { error: "Bad or expired token", code: "TOKEN_EXPIRED" });
    const claim = this.claims.find((claim) => claim.claim_id === id);
    const [from, to] = { approve: ["pending", "approved"], reject: ["pending", "rejected"], revoke: ["approved", "revoked"] }[verb] ?? [];
    const fits = method === "POST" ? claim?.status === from : method === "GET" && claim && !verb;
    if (!fits) return reply(404, { error: "Not found", code: "NOT_FOUND" });
    if (method === "POST") claim.status = to;
    reply(200, method === "POST" ? { claim_id: id, status: to } : { ...claim, namespace: owner.namespace });
  }

  /** The claims of a token that this API's secret signed and that holds now; undefined for any other. */
  #verify(token) {
    const parts = token.split(".");
    if (parts.length !== 3) return undefined;
    const given = Buffer.from(parts[2], "base64url");
    const right = createHmac("sha256", this.#secret).update(`${parts[0]}.${parts[1]}`).digest();
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
    const now = Date.now() / 1000;
    const holds =
      header.alg === "HS256" &&
      claims.iss === "sigilum-api" &&
      claims.aud === "sigilum-dashboard" &&
      claims.exp > now &&
      ["sub", "email", "namespace"].every((name) => typeof claims[name] === "string" && claims[name] !== "");
    return holds ? claims : undefined;
  }
}
