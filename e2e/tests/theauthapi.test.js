// Every method of The Auth API's published client, in both versions, against the program.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { Claviger } from "../claviger.js";
import { refusal, versions } from "../published.js";

const claviger = await Claviger.start();
after(() => claviger.stop());
const { accountId, projectId } = claviger;

for (const { name, connect, hasRotate } of versions) {
  describe(name, () => {
    const client = connect(claviger);
    const createKey = (input) => client.apiKeys.createKey({ name: "Ada", projectId, ...input });

    test("createKey gives the full key, this once", async () => {
      const key = await createKey({ customAccountId: "acme", customUserId: "ada" });
      assert.match(key.key, /^live_[A-Za-z0-9]{64}$/);
      assert.equal(key.name, "Ada");
      assert.equal(key.customAccountId, "acme");
      assert.equal(key.customUserId, "ada");
      assert.equal(key.env, "live");
      assert.equal(key.isActive, true);

      const read = await client.apiKeys.getKey(key.id);
      assert.equal(read.key, `${key.key.slice(0, 21)}*********`);
    });

    test("dates come back as Date", async () => {
      const expiry = new Date("2034-11-04T17:16:00.000Z");
      const key = await createKey({ expiry });
      assert.ok(key.createdAt instanceof Date);
      assert.ok(key.updatedAt instanceof Date);
      assert.deepEqual(key.expiry, expiry);
      assert.deepEqual(key.expiresAt, expiry);
    });

    test("metadata of any shape comes back as it was", async () => {
      for (const customMetaData of [{ plan: { seats: [1, 2.5, null] } }, ["a"], "text", 7, false]) {
        const { id } = await createKey({ customMetaData });
        assert.deepEqual((await client.apiKeys.getKey(id)).customMetaData, customMetaData);
      }
    });

    test("isValidKey is true for a live key", async () => {
      const { key } = await createKey();
      assert.equal(await client.apiKeys.isValidKey(key), true);
    });

    test("isValidKey is false for an unknown, an empty and a revoked key", async () => {
      const { key, id } = await createKey();
      await client.apiKeys.deleteKey(id);
      const unknown = `live_${"a".repeat(64)}`;
      for (const offered of [unknown, "nonsense", "", key]) {
        assert.equal(await client.apiKeys.isValidKey(offered), false);
      }
    });

    test("authenticateKey answers with the key's object, without the full key", async () => {
      const created = await createKey({ customMetaData: { plan: "pro" } });
      const key = await client.apiKeys.authenticateKey(created.key);
      assert.equal(key.id, created.id);
      assert.deepEqual(key.customMetaData, { plan: "pro" });
      assert.notEqual(key.key, created.key);
    });

    test("getKey finds a key by its id, its reference and its full text", async () => {
      const { key, id } = await createKey();
      const { key: reference } = await client.apiKeys.getKey(id);
      assert.equal((await client.apiKeys.getKey(reference)).id, id);
      assert.equal((await client.apiKeys.getKey(key)).id, id);
    });

    test("getKeys lists all keys, oldest first", async () => {
      const { id } = await createKey();
      const keys = await client.apiKeys.getKeys();
      assert.equal(keys.at(-1).id, id);
      const times = keys.map((key) => key.createdAt.getTime());
      assert.deepEqual(times, times.toSorted((one, other) => one - other));
    });

    test("getKeys filters by project, name, customer and activity", async () => {
      const customAccountId = `customer-of-${name.replace(" ", "-")}`;
      const { id } = await createKey({ name: `Filtered ${name}`, customAccountId });
      const revoked = await createKey({ customAccountId });
      await client.apiKeys.deleteKey(revoked.id);

      const ids = async (filter) => (await client.apiKeys.getKeys(filter)).map((key) => key.id);
      assert.deepEqual(await ids({ customAccountId }), [id, revoked.id]);
      assert.deepEqual(await ids({ customAccountId, isActive: true }), [id]);
      assert.deepEqual(await ids({ customAccountId, isActive: false }), [revoked.id]);
      assert.deepEqual(await ids({ name: `filtered ${name}` }), [id]);
      assert.deepEqual(await ids({ projectId, customAccountId, name: "nobody" }), []);
    });

    test("getKeys takes null for keys without a customer", async () => {
      const without = await createKey();
      const other = await createKey({ customAccountId: "acme", customUserId: "ada" });
      for (const filter of [{ customAccountId: null }, { customUserId: null }]) {
        const ids = (await client.apiKeys.getKeys(filter)).map((key) => key.id);
        assert.ok(ids.includes(without.id));
        assert.ok(!ids.includes(other.id));
      }
    });

    test("updateKey changes what it names, and null clears", async () => {
      const expiry = new Date("2034-11-04T17:16:00.000Z");
      const rateLimitConfigs = { rateLimit: 5, rateLimitTtl: 60 };
      const { id } = await createKey({ expiry, rateLimitConfigs, customUserId: "ada" });

      const renamed = await client.apiKeys.updateKey(id, { name: "Grace" });
      assert.equal(renamed.name, "Grace");
      assert.deepEqual(renamed.expiry, expiry);
      assert.deepEqual(renamed.rateLimitConfigs, rateLimitConfigs);

      const cleared = { name: "Grace", expiry: null, rateLimitConfigs: null };
      const updated = await client.apiKeys.updateKey(id, cleared);
      assert.equal(updated.expiry, null);
      assert.equal(updated.rateLimitConfigs, null);
      assert.equal(updated.customUserId, "ada");
    });

    test("deleteKey revokes, and reactivateKey brings back", async () => {
      const { key, id } = await createKey();
      assert.equal(await client.apiKeys.deleteKey(id), true);
      assert.equal((await client.apiKeys.getKey(id)).isActive, false);
      assert.equal(await client.apiKeys.isValidKey(key), false);

      const back = await client.apiKeys.reactivateKey(id);
      assert.equal(back.isActive, true);
      assert.equal(await client.apiKeys.isValidKey(key), true);
    });

    test("a key taken from a list can be deleted by what the list shows", async () => {
      const { id } = await createKey({ name: `Listed ${name}` });
      const [listed] = await client.apiKeys.getKeys({ name: `Listed ${name}` });
      assert.equal(await client.apiKeys.deleteKey(listed.key), true);
      assert.equal((await client.apiKeys.getKey(id)).isActive, false);
    });

    // The older version has no such method.
    if (hasRotate) {
      test("rotateKey replaces a key at once", async () => {
        const customMetaData = { plan: "pro" };
        const old = await createKey({ customMetaData, customAccountId: "acme" });
        const successor = await client.apiKeys.rotateKey(old.id);
        assert.notEqual(successor.id, old.id);
        assert.equal(successor.rotatedFrom, old.id);
        assert.deepEqual(successor.customMetaData, customMetaData);
        assert.equal(successor.customAccountId, "acme");
        assert.equal(await client.apiKeys.isValidKey(old.key), false);
        assert.equal(await client.apiKeys.isValidKey(successor.key), true);
        assert.equal((await client.apiKeys.getKey(old.id)).rotatedTo, successor.id);
      });
    }

    test("a custom key is used as it is, and can be changed", async () => {
      const key = `custom-key-of-${name.replaceAll(/[ .]/g, "-")}`;
      const created = await createKey({ key });
      assert.equal(created.key, key);
      assert.equal(await client.apiKeys.isValidKey(key), true);
      assert.equal((await client.apiKeys.getKey(created.id)).key, `${created.id}*********`);

      await client.apiKeys.updateKey(created.id, { name: "Ada", key: `${key}-changed` });
      assert.equal(await client.apiKeys.isValidKey(key), false);
      assert.equal(await client.apiKeys.isValidKey(`${key}-changed`), true);
    });

    test("a custom key that is taken is refused with 409", async () => {
      const key = `custom-key-of-two-${name.replaceAll(/[ .]/g, "-")}`;
      await createKey({ key });
      const { statusCode } = await refusal(createKey({ key }));
      assert.equal(statusCode, 409);
    });

    test("a key past its expiry is refused with 404, like any unknown one", async () => {
      const { key } = await createKey({ expiry: new Date("2020-01-01T00:00:00.000Z") });
      const { statusCode, message } = await refusal(client.apiKeys.authenticateKey(key));
      assert.equal(statusCode, 404);
      assert.equal(message, "(404): Invalid client key");
    });

    test("a key over its limit is refused with 429", async () => {
      const { key } = await createKey({ rateLimitConfigs: { rateLimit: 2, rateLimitTtl: 60 } });
      await client.apiKeys.authenticateKey(key);
      await client.apiKeys.authenticateKey(key);
      const { statusCode, message } = await refusal(client.apiKeys.authenticateKey(key));
      assert.equal(statusCode, 429);
      assert.equal(message, "(429): Too many requests");
    });

    test("a key locked to a domain is refused with 403 without it", async () => {
      const { key } = await createKey({ allowedDomains: ["example.com"] });
      const { statusCode, message } = await refusal(client.apiKeys.authenticateKey(key));
      assert.equal(statusCode, 403);
      assert.equal(message, "(403): Origin domain is not allowed for this API key");
    });

    test("an unknown access key is refused with 401", async () => {
      const stranger = connect(claviger, `live_access_${"a".repeat(64)}`);
      const { statusCode, message } = await refusal(stranger.apiKeys.getKeys());
      assert.equal(statusCode, 401);
      assert.equal(message, "(401): Unauthorized");
    });

    test("projects are created, listed, read, renamed and deleted", async () => {
      const project = await client.projects.createProject({ name: "Side", accountId, env: "test" });
      assert.equal(project.env, "test");
      assert.ok(project.createdAt instanceof Date);
      const listed = await client.projects.getProjects(accountId);
      assert.ok(listed.some(({ id }) => id === project.id));
      assert.equal((await client.projects.getProject(project.id)).name, "Side");

      const renamed = await client.projects.updateProject(project.id, { name: "Aside" });
      assert.equal(renamed.name, "Aside");

      const { key } = await client.apiKeys.createKey({ name: "Ada", projectId: project.id });
      assert.match(key, /^test_[A-Za-z0-9]{64}$/);
      assert.equal((await client.projects.deleteProject(project.id)).id, project.id);
      assert.equal(await client.apiKeys.isValidKey(key), false);
      const { statusCode } = await refusal(client.projects.getProject(project.id));
      assert.equal(statusCode, 404);
    });

    test("getAccount reads the account", async () => {
      const account = await client.accounts.getAccount(accountId);
      assert.equal(account.id, accountId);
      assert.ok(account.createdAt instanceof Date);
    });

    test("authenticateAPIKey, the oldest way, answers what is known of the customer", async () => {
      const { key } = await createKey({ customMetaData: { plan: "pro" }, customAccountId: "acme" });
      const { authenticated, customMetaData, customAccountId, customUserId } =
        await client.authenticateAPIKey(key);
      assert.equal(authenticated, true);
      assert.deepEqual(customMetaData, { plan: "pro" });
      assert.equal(customAccountId, "acme");
      assert.equal(customUserId, null);
    });

    test("authenticateAPIKey tells its callback of a bad key, with 404", async () => {
      const { key, id } = await createKey();
      await client.apiKeys.deleteKey(id);
      let told;
      assert.equal(await client.authenticateAPIKey(key, (error) => (told = error)), undefined);
      assert.equal(told.statusCode, 404);
    });
  });
}
