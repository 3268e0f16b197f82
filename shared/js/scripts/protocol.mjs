// Writes src/protocol.ts from ../contract/asyncapi.json, or another file that is named; with --check it only says whether it is
// as it should be.
//
//     node scripts/protocol.mjs [--check] [asyncapi.json]
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const check = process.argv.includes("--check");
const contract = process.argv.slice(2).find((argument) => argument !== "--check") ?? here("../../contract/asyncapi.json");
const document = JSON.parse(readFileSync(contract, "utf8"));
const { schemas, messages } = document.components;

const nameOf = (reference) => reference.split("/").at(-1);
const isIdentifier = (name) => /^[A-Za-z_$][\w$]*$/.test(name);
const comment = (text, indent = "") => (text ? `${indent}/** ${text.replaceAll("*/", "* /").replace(/\s+/g, " ")} */\n` : "");

/** What of JSON Schema the contract uses. Anything else is an error: no type may be wider than the contract by accident. */
function type(schema, indent = "") {
  if (schema.$ref) return nameOf(schema.$ref);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  for (const [keyword, sign] of [["oneOf", " | "], ["anyOf", " | "], ["allOf", " & "]]) {
    if (!schema[keyword]) continue;
    const own = schema.properties ? [object(schema, indent)] : [];
    const parts = [...own, ...schema[keyword].map((part) => type(part, indent))];
    return parts.map((part) => (parts.length > 1 && /[|&]/.test(part) ? `(${part})` : part)).join(sign);
  }
  if (Array.isArray(schema.type)) return schema.type.map((one) => type({ ...schema, type: one }, indent)).join(" | ");
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array": {
      const item = type(schema.items, indent);
      return /[|&]/.test(item) ? `(${item})[]` : `${item}[]`;
    }
    case "object":
      return object(schema, indent);
  }
  throw new Error(`no type for ${JSON.stringify(schema)}`);
}

function object({ properties = {}, required = [] }, indent) {
  const fields = Object.entries(properties).map(([name, schema]) => {
    const key = isIdentifier(name) ? name : JSON.stringify(name);
    const optional = required.includes(name) ? "" : "?";
    return `${comment(schema.description, `${indent}  `)}${indent}  ${key}${optional}: ${type(schema, `${indent}  `)};\n`;
  });
  return fields.length ? `{\n${fields.join("")}${indent}}` : "{}";
}

let text = `// The events of the protocol and what they carry. Made from shared/contract/asyncapi.json by scripts/protocol.mjs; not to be
// changed by hand. \`shared/PROTOCOL.md\` says when each is sent.
`;
for (const [name, schema] of Object.entries(schemas)) {
  // Codes can be added within a version of the protocol.
  const more = name === "ErrorCode" ? " | (string & {})" : "";
  text += `\n${comment(schema.description)}export type ${name} = ${type(schema)}${more};\n`;
}

const [fromServer, fromClient] = [[], []];
for (const { action, channel, messages: sent, reply, summary } of Object.values(document.operations)) {
  const { address, messages: named } = document.channels[nameOf(channel.$ref)];
  if (address === "/") continue; // connecting is no event
  const message = ({ $ref }) => messages[nameOf(named[nameOf($ref)].$ref)];
  const { payload, headers } = message(sent[0]);
  if (action === "send") {
    const resume = headers ? `, resume?: ${type(headers)}` : "";
    const key = address.includes("{") ? `[name: \`${address.replace(/\{\w+\}/, "${string}")}\`]` : address;
    fromServer.push(`${comment(summary, "  ")}  ${key}: (payload: ${type(payload)}${resume}) => void;\n`);
  } else {
    const answer = type(message(reply.messages[0]).payload);
    fromClient.push(`${comment(summary, "  ")}  ${address}: (payload: ${type(payload)}, answer: (answer: ${answer}) => void) => void;\n`);
  }
}
text += `
/** What the server sends, for \`Socket<ServerToClientEvents, ClientToServerEvents>\` of the stock client. */
export interface ServerToClientEvents {
${fromServer.join("")}}

/**
 * What a client sends, each with its acknowledgement: a request that asks for none learns of nothing. It is no optional argument,
 * because \`emitWithAck\` finds the type of its result by it.
 */
export interface ClientToServerEvents {
${fromClient.join("")}}
`;

const target = here("../src/protocol.ts");
if (!check) writeFileSync(target, text);
else if (readFileSync(target, "utf8") !== text) {
  console.error(`${target} is not what ${contract} says: run node shared/js/scripts/protocol.mjs`);
  process.exit(1);
}
