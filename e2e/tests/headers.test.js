// What a caller without a client library reads beside the body: through fetch and through axios.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import axios from "axios";

import { Claviger } from "../claviger.js";

const claviger = await Claviger.start();
after(() => claviger.stop());

const createKey = (input) =>
  claviger.done("POST", "/api-keys", {
    body: { name: "Ada", projectId: claviger.projectId, ...input },
  });
const authenticate = (key, headers) =>
  claviger.call("POST", `/api-keys/auth/${key}`, { key: claviger.verifierKey, headers });

test("a limited key tells its limit on every answer, and when to come back on 429", async () => {
  const { key } = await createKey({ rateLimitConfigs: { rateLimit: 2, rateLimitTtl: 60 } });
  const first = await authenticate(key);
  assert.equal(first.status, 200);
  assert.equal(first.headers.get("ratelimit-limit"), "2");
  assert.equal(first.headers.get("ratelimit-remaining"), "1");
  assert.equal(first.headers.get("ratelimit-consumed"), "1");
  assert.match(first.headers.get("ratelimit-reset"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(first.headers.get("retry-after"), null);

  await authenticate(key);
  const refused = await authenticate(key);
  assert.equal(refused.status, 429);
  assert.equal(refused.body.message, "Too many requests");
  assert.equal(refused.headers.get("ratelimit-remaining"), "0");
  assert.match(refused.headers.get("retry-after"), /^\d+$/);
  assert.match(refused.headers.get("retry-after-seconds"), /^\d+(\.\d+)?$/);
  assert.ok(Number(refused.headers.get("retry-after")) <= 60);
});

test("a key without a limit tells none", async () => {
  const { key } = await createKey();
  const { headers } = await authenticate(key);
  assert.equal(headers.get("ratelimit-limit"), null);
});

test("a key over its quota is refused with 429 that says so", async () => {
  const { key } = await createKey({ quota: { limit: 1, period: "month" } });
  const { body } = await authenticate(key);
  assert.equal(body.quota.used, 1);
  const refused = await authenticate(key);
  assert.equal(refused.status, 429);
  assert.equal(refused.body.message, "Monthly request quota exceeded");
});

test("a key locked to a domain passes with that domain, however the origin is written", async () => {
  const { key } = await createKey({ allowedDomains: ["example.com", "*.example.org"] });
  const origins = ["example.com", "https://EXAMPLE.com", "https://a.example.org/page?q=1"];
  for (const origin of origins) {
    assert.equal((await authenticate(key, { "x-origin-domain": origin })).status, 200, origin);
  }
  for (const origin of ["example.net", "https://example.com.example.net", "example.org"]) {
    assert.equal((await authenticate(key, { "x-origin-domain": origin })).status, 403, origin);
  }
});

test("axios, which sends a body-less POST as a form, is understood", async () => {
  const { key } = await createKey();
  const url = `${claviger.url}/api-keys/auth/${key}`;
  const headers = { "x-api-key": claviger.verifierKey };
  const { status, data } = await axios.post(url, undefined, { headers });
  assert.equal(status, 200);
  assert.equal(data.name, "Ada");

  const form = { ...headers, "content-type": "application/x-www-form-urlencoded" };
  assert.equal((await axios.post(url, "", { headers: form })).status, 200);
});

test("every error has the same members", async () => {
  const { body, status } = await claviger.call("GET", "/api-keys/key_0000000000000000");
  assert.equal(status, 404);
  assert.deepEqual(Object.keys(body), ["statusCode", "error", "message", "code", "requestId"]);
  const missing = await claviger.call("POST", "/api-keys", { body: {} });
  assert.equal(missing.status, 400);
  assert.equal(missing.body.details[0].field, "name");
});

test("a body over 1 MiB is refused with 413", async () => {
  const body = { name: "x".repeat(1024 * 1024) };
  assert.equal((await claviger.call("POST", "/api-keys", { body })).status, 413);
});

test("a browser may ask from anywhere, and read the rate headers", async () => {
  const preflight = await claviger.call("OPTIONS", "/api-keys/auth/x", {
    key: null,
    headers: {
      origin: "https://example.com",
      "access-control-request-method": "POST",
      "access-control-request-headers": "x-api-key",
    },
  });
  assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  assert.equal(preflight.headers.get("access-control-allow-credentials"), null);

  const { key } = await createKey();
  const answer = await authenticate(key, { origin: "https://example.com" });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("access-control-expose-headers"), /ratelimit-remaining/);
});
