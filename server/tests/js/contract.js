// Reads a document of the contract with the tool for its kind, and reports what that finds wrong.
// node contract.js '{"asyncapi": "<path>"}' or '{"openapi": "<path>"}'

const { readFileSync } = require("node:fs");

const { asyncapi, openapi } = JSON.parse(process.argv[2]);

async function parse(path) {
  const { Parser } = require("@asyncapi/parser");
  const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"));
  // A hint that there is a newer version of the format is none.
  const found = diagnostics.filter(({ code }) => code !== "asyncapi-latest-version");
  const report = { problems: found.map(({ code, message, path }) => ({ code, message, path: path.join("/") })) };
  if (document) {
    report.version = document.version();
    report.channels = document.channels().length;
    report.operations = document.operations().length;
    report.replies = document.operations().all().filter((operation) => operation.reply()).length;
  }
  return report;
}

async function lint(path) {
  const { Document, Spectral } = require("@stoplight/spectral-core");
  const { Json } = require("@stoplight/spectral-parsers");
  const { oas } = require("@stoplight/spectral-rulesets");
  const spectral = new Spectral();
  // Every rule but that there is somebody to write to: there is an issue tracker.
  spectral.setRuleset({ extends: [[oas, "all"]], rules: { "info-contact": "off" } });
  const found = await spectral.run(new Document(readFileSync(path, "utf8"), Json));
  return {
    rules: Object.keys(spectral.ruleset.rules).length,
    problems: found.map(({ code, message, path }) => ({ code, message, path: path.join("/") })),
  };
}

(asyncapi ? parse(asyncapi) : lint(openapi)).then((report) => console.log(JSON.stringify(report)));
