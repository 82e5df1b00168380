// Webhooks, as a receiver meets them that verifies with the published library of Standard Webhooks.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, test } from "node:test";

import { Webhook } from "standardwebhooks";

import { Claviger } from "../claviger.js";

/** A receiver on this machine, and the deliveries that it got, one after another. */
async function receive() {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    server.emit("delivery", { headers: request.headers, body });
    response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => server.close());
  const next = async () => (await once(server, "delivery"))[0];
  return { url: `http://127.0.0.1:${server.address().port}/hooks`, next };
}

test("a delivery is what the published library of Standard Webhooks verifies", async () => {
  const claviger = await Claviger.start({ flags: ["--outbound-allow-private"] });
  after(() => claviger.stop());
  const { url, next } = await receive();
  const made = await claviger.done("POST", "/webhooks", {
    body: { url, topics: ["api-key.created"], customHeaders: { authorization: "custom-key-of-a-receiver" } },
  });
  const create = async (name) => {
    const delivered = next();
    const { projectId } = claviger;
    const key = await claviger.done("POST", "/api-keys", { body: { name, projectId } });
    return { key, delivery: await delivered };
  };

  const { key, delivery } = await create("Told");
  const event = new Webhook(made.secret).verify(delivery.body, delivery.headers);
  assert.equal(event.topic, "api-key.created");
  assert.equal(event.data.id, key.id);
  assert.equal(event.id, delivery.headers["webhook-id"]);
  assert.equal(delivery.headers.authorization, "custom-key-of-a-receiver");
  assert.ok(!delivery.body.includes(key.key));
  const forged = delivery.body.replace("Told", "Sold");
  assert.throws(() => new Webhook(made.secret).verify(forged, delivery.headers));

  // For a day both secrets are good.
  const rotated = await claviger.done("POST", `/webhooks/${made.id}/rotate-secret`, { body: {} });
  const { delivery: later } = await create("Told again");
  for (const secret of [made.secret, rotated.secret]) {
    assert.equal(new Webhook(secret).verify(later.body, later.headers).data.name, "Told again");
  }
});
