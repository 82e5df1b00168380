// Files of published packages that are too large to install for one test, or bring too much along: the package is
// fetched into the folder for temporary files, once, and nothing of it is kept in the repository.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The path of a file of a package, fetched if it is not there; `extension` where it is to have another. */
export async function packed(name, file, extension = extname(file)) {
  const kept = join(tmpdir(), "claviger-documents");
  const path = join(kept, `${name.replaceAll(/[^a-z0-9.]+/g, "-")}${extension}`);
  if (await stat(path).catch(() => undefined)) return path;
  await mkdir(kept, { recursive: true });
  const scratch = await mkdtemp(join(tmpdir(), "claviger-packed-"));
  const { stdout } = await run("npm", ["pack", name, "--silent", "--pack-destination", scratch]);
  await run("tar", ["-xzf", join(scratch, stdout.trim()), "-C", scratch, `package/${file}`]);
  // In one step, so that nobody reads half of it; across file systems that is a copy beside it first.
  await run("cp", [join(scratch, "package", file), `${path}.part`]);
  await rename(`${path}.part`, path);
  await rm(scratch, { recursive: true });
  return path;
}

/** The published link SDK, as a module. */
export const linkSdk = () => packed("@truto/truto-link-sdk@1.1.30", "dist/main.js", ".mjs");
