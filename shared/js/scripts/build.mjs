// Compiles src/ into dist/esm and dist/cjs, each with its types, by tsc alone.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
rmSync(join(root, "dist"), { recursive: true, force: true });
for (const [folder, type, module] of [["esm", "module", "ESNext"], ["cjs", "commonjs", "CommonJS"]]) {
  const outDir = join(root, "dist", folder);
  execFileSync(process.execPath, [tsc, "-p", root, "--module", module, "--outDir", outDir], { stdio: "inherit" });
  writeFileSync(join(outDir, "package.json"), `{"type":"${type}"}\n`);
}
