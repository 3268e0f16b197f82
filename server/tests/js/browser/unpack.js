// Unpacks the Chromium of the package @sparticuz/chromium, with its libraries and fonts, into the folder `unpacked`.
"use strict";
const { createReadStream, createWriteStream, mkdirSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { pipeline } = require("node:stream/promises");
const { createBrotliDecompress } = require("node:zlib");
const { extract } = require("tar-fs");

const packed = join(__dirname, "node_modules/@sparticuz/chromium/bin");
const unpacked = join(__dirname, "unpacked");

(async () => {
  mkdirSync(unpacked, { recursive: true });
  const from = (name) => [createReadStream(join(packed, name)), createBrotliDecompress()];
  await pipeline(...from("chromium.br"), createWriteStream(join(unpacked, "chromium"), { mode: 0o755 }));
  for (const name of ["al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"]) {
    await pipeline(...from(name), extract(unpacked));
  }
  // The one of the package names folders of a machine elsewhere.
  const fonts = `<dir>${join(unpacked, "fonts")}</dir><cachedir>${join(unpacked, "fonts-cache")}</cachedir>`;
  writeFileSync(join(unpacked, "fonts.conf"), `<?xml version="1.0"?>\n<fontconfig>${fonts}</fontconfig>\n`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
