// One HTTP request, byte for byte: every client library tidies a path before it sends it.

import { once } from "node:events";
import { connect } from "node:net";

/** Sends `method` for exactly `path`, and gives the status code of the answer. */
export async function sendRaw(claviger, method, path, key) {
  const { hostname, port, host } = new URL(claviger.url);
  const socket = connect(Number(port), hostname);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    `x-api-key: ${key}`,
    "Content-Length: 0",
    "Connection: close",
  ];
  // Not ended by us: a server may take that for a caller who has gone away.
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  let answer = "";
  socket.setEncoding("latin1").on("data", (text) => (answer += text));
  await once(socket, "close");
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}
