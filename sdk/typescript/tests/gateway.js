// One running Claviger for a file of tests, and what tests ask of it beside the tools.

import { after } from "node:test";

import { Claviger } from "../../../e2e/claviger.js";

/** Starts the built program; it ends with the file. */
export async function startClaviger(options) {
  const claviger = await Claviger.start(options);
  after(() => claviger.stop());
  return claviger;
}

/** What a `ToolManager` takes. */
export const connection = ({ url, accessKey }) => ({ baseUrl: url, apiKey: accessKey });

/** Makes a key that may pass once in an hour, lets it, and gives the full key: who asks of it gets 429. */
export async function usedUpKey(claviger) {
  const rateLimitConfigs = { rateLimit: 1, rateLimitTtl: 3600 };
  const body = { name: "Used up", projectId: claviger.projectId, rateLimitConfigs };
  const { key } = await claviger.done("POST", "/api-keys", { body });
  await claviger.done("POST", "/api-keys/verify", { body: { key } });
  return key;
}

/** The tool that tells of a full key what presenting it would bring. */
export const CHECK = "list_all_the_auth_api_api_keys_auths";
export const CREATE = "create_a_the_auth_api_api_key";
export const LIST = "list_all_the_auth_api_api_keys";
export const READ = "get_single_the_auth_api_api_key_by_id";
export const REVOKE = "delete_a_the_auth_api_api_key_by_id";
export const ROTATE = "create_a_the_auth_api_api_key_rotate";
