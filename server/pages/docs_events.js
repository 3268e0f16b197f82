// The events of asyncapi.json. The document's application is the server: what it receives is what an app sends.
import { element, hidden } from "./dom.js";
import { pretty, prose, table } from "./schema_view.js";

/** The parts about events: those that an app sends, and those that it listens to. */
export function aboutEvents(document, visitor) {
  const operations = Object.entries(document.json.operations).map(([name, operation]) => ({ name, ...operation }));
  const sent = operations.filter(({ action, name }) => action === "receive" && name !== "connect");
  const heard = operations.filter(({ action }) => action === "send");
  return [
    {
      title: "Events you send",
      words: "Each is answered once, with ok: true or with an error. Ask for the answer: emitWithAck.",
      items: sent.map((operation) => sentItem(document, operation, visitor)),
    },
    {
      title: "Events you receive",
      words: "On a connection that has caught up, the second argument holds the cursor to go on from.",
      items: heard.map((operation) => heardItem(document, operation, visitor)),
    },
  ];
}

function address(document, operation) {
  return document.find(operation.channel).address;
}

/** A payload to begin with: without the cursor, of which no example is of this server. */
function first(payload = {}) {
  const { since, cursor, ...rest } = payload;
  return rest;
}

const examples = (message) => message?.examples?.map(({ payload }) => payload).filter((payload) => payload !== undefined) ?? [];

function sentItem(document, operation, visitor) {
  const name = address(document, operation);
  const request = document.find(operation.messages?.[0]);
  const reply = document.find(operation.reply?.messages?.[0]);
  const codes = operation["x-error-codes"] ?? [];
  const node = element(
    "article", {}, element("h3", {}, element("code", {}, name)), element("p", {}, prose(operation.summary ?? "")),
    table(document, request.payload, `Payload of ${name}`),
    tryIt(name, examples(request), visitor),
    reply && element("details", {}, element("summary", {}, "The answer", hidden(` to ${name}`)),
      ...examples(reply).slice(0, 1).map((example) => element("pre", { tabindex: "0", "aria-label": `Answer to ${name}` }, pretty(example))),
      table(document, reply.payload, `Answer to ${name}`)),
    codes.length > 0 && element("p", { class: "faint" }, "Errors: ", ...codes.flatMap((code) => [element("code", {}, code), " "])),
  );
  return { id: `send-${name}`, name, node };
}

function heardItem(document, operation, visitor) {
  const name = address(document, operation);
  const message = document.find(operation.messages?.[0]);
  const shown = element("pre", { tabindex: "0", "aria-label": `Example of ${name}` });
  const draw = () => (shown.textContent = visitor.mine(examples(message).slice(0, 1).map(pretty).join("\n")));
  visitor.onChange(draw);
  draw();
  const node = element(
    "article", {}, element("h3", {}, element("code", {}, name)), element("p", {}, prose(operation.summary ?? "")),
    shown.textContent && shown, table(document, message.payload, `What ${name} brings`),
  );
  return { id: `receive-${name.replaceAll(/[{}]/g, "")}`, name, node };
}

function tryIt(name, given, visitor) {
  const input = element("textarea", { rows: "5", spellcheck: "false", autocapitalize: "none", "aria-label": `Payload to send as ${name}` });
  const output = element("pre", { class: "output", tabindex: "0", "aria-label": `What came of ${name}`, "aria-live": "polite", hidden: true });
  const draw = () => {
    // An id of a message is used once.
    const fresh = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const text = pretty(first(given[0])).replace(/("clientMessageId": )"[^"]*"/, `$1"${fresh}"`);
    input.value = visitor.mine(text);
  };
  visitor.onChange(draw);
  draw();
  const send = async () => {
    output.hidden = false;
    output.textContent = "…";
    try {
      output.textContent = pretty(await visitor.send(name, JSON.parse(input.value)));
    } catch (error) {
      output.textContent = `Not sent: ${error.message}`;
    }
  };
  const button = element("button", { type: "button", class: "main", on: { click: send } }, "Send", hidden(` ${name}`));
  return element("div", { class: "try" }, input, element("div", {}, button), output);
}
