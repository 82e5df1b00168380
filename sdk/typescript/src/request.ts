// A tool's arguments as a request to the proxy. What they may be is checked by the gateway, which knows
// the tool as it is now; here is decided only where they go.

import type { GatewayRequest } from "./connection.js";
import { isObject, ToolsetError } from "./error.js";

/** A tool as the gateway describes it. */
export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  /** What it is a method of: `api_keys`. */
  readonly resource: string;
  /** `list`, `get`, `create`, `update`, `delete` or a custom name. */
  readonly method: string;
  /** JSON Schema of all arguments: a flat object. */
  readonly input_schema: JsonSchema;
  /** Of those that go to path and query. */
  readonly query_schema: JsonSchema | null;
  /** Of those that go to the body. */
  readonly body_schema: JsonSchema | null;
  readonly tags: readonly string[];
  /** Hints of the Model Context Protocol: `readOnlyHint`, `destructiveHint`, … */
  readonly annotations: Readonly<Record<string, unknown>>;
}

/** A JSON Schema whose root is an object. */
export interface JsonSchema {
  readonly type: "object";
  readonly properties: Record<string, Record<string, unknown>>;
  readonly required?: string[];
}

export type Arguments = Readonly<Record<string, unknown>>;

const VERBS = new Map([
  ["list", "GET"],
  ["get", "GET"],
  ["create", "POST"],
  ["update", "PATCH"],
  ["delete", "DELETE"],
]);
const WITH_ID = new Set(["get", "update", "delete"]);
/** Parameters that are the proxy's own: a model must not choose another account by them. */
const OF_THE_PROXY = new Set(["integrated_account_id", "dry_run"]);

/** The request that calls a tool of a connected account. */
export function requestFor(tool: ToolDescription, account: string, given: Arguments): GatewayRequest {
  const verb = VERBS.get(tool.method);
  const segments = [tool.resource];
  const { id, ...others } = given;
  let rest: Arguments = given;
  if (verb === undefined) segments.push(tool.method);
  if (WITH_ID.has(tool.method)) {
    segments.push(segment(id));
    rest = others;
  }

  const query = new URLSearchParams();
  const body: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (isForTheBody(tool, name)) {
      Object.defineProperty(body, name, { value, enumerable: true });
    } else if (OF_THE_PROXY.has(name)) {
      throw invalid(`unknown argument \`${name}\``);
    } else {
      for (const text of texts(value)) query.append(name, text);
    }
  }
  query.append("integrated_account_id", account);
  const path = `/proxy/${segments.map(encodeURIComponent).join("/")}`;
  const hasBody = Object.keys(body).length > 0;
  return { verb: verb ?? "POST", path, query, ...(hasBody && { body }) };
}

/** Addresses are written down on their way, bodies are not: whatever can goes into the body. */
function isForTheBody({ method, body_schema, query_schema }: ToolDescription, name: string): boolean {
  const ofBody = Object.keys(body_schema?.properties ?? {});
  if (ofBody.includes(name)) return true;
  if (VERBS.get(method) === "GET" || method === "delete") return false;
  const isOfQuery = Object.hasOwn(query_schema?.properties ?? {}, name);
  // Then the body is a list or a text, and has no room beside it; or it has a member of the same name.
  const isWhole = ofBody.length === 1 && ofBody[0] === "body";
  return !(isOfQuery && (isWhole || ofBody.includes(`${name}_body`)));
}

function segment(id: unknown): string {
  if (id === undefined || id === null || id === "") throw invalid("missing argument `id`");
  if (typeof id === "object") throw invalid("argument `id` must be a text");
  const text = String(id).toWellFormed();
  // However they are written, these two are steps in an address and not names.
  if (text === "." || text === "..") throw invalid("argument `id` must name something");
  return text;
}

function texts(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(texts);
  return [isObject(value) ? JSON.stringify(value) : String(value)];
}

function invalid(message: string): ToolsetError {
  return new ToolsetError("invalid_arguments", message);
}
