// The Auth API's published npm client, in both versions there are, as their authors packed them.

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** Each version of the client: its name, and `connect(claviger, key)`. */
export const versions = ["theauthapi", "theauthapi-next"].map((name) => {
  const { default: TheAuthAPI } = require(name);
  const { version } = require(`${name}/package.json`);
  return {
    name: `theauthapi ${version}`,
    hasRotate: name === "theauthapi-next",
    // Without its retries: on 429 and 5xx it waits ever longer, and a test wants the first answer.
    connect: (claviger, key = claviger.accessKey) =>
      new TheAuthAPI(key, { host: claviger.url, retryCount: 0 }),
  };
});

/** What `promise` is refused with: `{statusCode, message}` of the client's own error class. */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    if (error.name === "ApiResponseError") return error;
    throw error;
  }
  throw new Error("the call was expected to be refused, and succeeded");
}
