// What went wrong, in the shape that users of HTTP clients know: `error.response.status`.

/** The answer of the gateway that was no success. */
export interface FailedResponse {
  readonly status: number;
  /** Among them `ratelimit-reset` and `retry-after`, in seconds, where the product tells. */
  readonly headers: Headers;
  /** The gateway's error object, or whatever text stood in its place. */
  readonly data: unknown;
}

/** A call that has no result. It repeats neither the access key nor an argument's value. */
export class ToolsetError extends Error {
  override readonly name = "ToolsetError";
  /** The kind of failure: `invalid_arguments`, `unknown_tool`, `not_connected`, … */
  readonly code: string;
  /** What the gateway answered; absent where nothing was sent, or nothing came back. */
  readonly response: FailedResponse | undefined;

  constructor(code: string, message: string, { response, cause }: ToolsetErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.response = response;
  }

  /** Whether other arguments may succeed, so that it is worth telling the model. */
  get isForTheModel(): boolean {
    if (this.code === "invalid_arguments") return true;
    return this.response !== undefined && FOR_THE_MODEL.has(this.response.status);
  }

  /** What a model is told of it. */
  forTheModel(): Record<string, unknown> {
    const data = this.response?.data;
    if (isObject(data) && typeof data["message"] === "string") return data;
    return { error: this.code, message: this.message };
  }
}

interface ToolsetErrorDetails {
  response?: FailedResponse;
  cause?: unknown;
}

const FOR_THE_MODEL = new Set([400, 404, 409, 422]);

/** The error of an answer, with what to do about it. */
export function refused(response: FailedResponse): ToolsetError {
  const data = isObject(response.data) ? response.data : {};
  const code = typeof data["code"] === "string" ? data["code"] : "refused";
  const said = typeof data["message"] === "string" ? data["message"] : "no reason was given";
  const advice = adviceFor(response, data["is_remote_error"] === true);
  const message = `${response.status}: ${said}${advice === undefined ? "" : `. ${advice}`}`;
  return new ToolsetError(code, message, { response });
}

function adviceFor({ status, headers, data }: FailedResponse, isRemote: boolean): string | undefined {
  if (status >= 300 && status < 400) return "Give the address that this one leads to as `baseUrl`";
  if (!isObject(data)) return "That is no answer of a Claviger: is `baseUrl` right?";
  switch (status) {
    case 401:
      return isRemote
        ? "The product refused the connected account's credentials: enter them anew"
        : "Give an access key that exists and has not expired as `apiKey`";
    case 403:
      return isRemote
        ? "The connected account's credentials do not allow this"
        : "Give an access key whose role allows this as `apiKey`";
    case 429: {
      const seconds = headers.get("ratelimit-reset") ?? headers.get("retry-after");
      return seconds === null ? "Try again later" : `Try again in ${seconds} s`;
    }
    default:
      return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
