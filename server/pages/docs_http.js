// The requests of openapi.json.
import { element, hidden, places } from "./dom.js";
import { pretty, prose, table } from "./schema_view.js";

/** As much of an answer is shown, in characters: a whole history can be long. */
const SHOWN = 20_000;
const METHODS = ["get", "post", "put", "patch", "delete"];

/** The part about HTTP. */
export function aboutHttp(document, visitor) {
  const items = Object.entries(document.json.paths).flatMap(([path, operations]) =>
    METHODS.filter((method) => operations[method]).map((method) => item(document, path, method, operations[method], visitor)));
  return { title: "Requests over HTTP", words: "The token goes into the header Authorization, after the word Bearer.", items };
}

function item(document, path, method, operation, visitor) {
  const name = `${method.toUpperCase()} ${path}`;
  const body = document.find(operation.requestBody)?.content?.["application/json"];
  const good = Object.entries(operation.responses ?? {}).find(([status]) => status.startsWith("2"));
  const answer = document.find(good?.[1]);
  const content = answer?.content?.["application/json"];
  const node = element(
    "article", {}, element("h3", {}, element("code", {}, name)), element("p", {}, prose(operation.summary ?? "")),
    operation.description && element("p", { class: "faint" }, prose(operation.description)),
    body && table(document, body.schema, `Body of ${name}`),
    path.startsWith("/admin/")
      ? element("p", { class: "faint" }, "Administration is served at ADMIN_LISTEN only, which this page can’t ask.")
      : tryIt(document, path, method, operation, body, visitor),
    content && element("details", {}, element("summary", {}, "The answer", hidden(` to ${name}`)),
      content.example !== undefined && element("pre", { tabindex: "0", "aria-label": `Answer to ${name}` }, pretty(content.example)),
      content.schema && table(document, content.schema, `Answer to ${name}`)),
  );
  return { id: operation.operationId ?? name, name, node };
}

function tryIt(document, path, method, operation, body, visitor) {
  const name = `${method.toUpperCase()} ${path}`;
  const fields = (operation.parameters ?? []).map((parameter) => document.find(parameter)).map((parameter) => {
    const input = element("input", {
      type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", "aria-label": `${parameter.name} of ${name}`,
    });
    return { ...parameter, input };
  });
  const input = body && element("textarea", { rows: "4", spellcheck: "false", "aria-label": `Body of ${name}` });
  const draw = () => {
    if (input) input.value = visitor.mine(pretty(body.example ?? {}));
    const ids = { user1: visitor.ids.me, user2: visitor.ids.peer ?? visitor.ids.me, id: visitor.ids.me };
    for (const { name: of, in: where, input: field } of fields) if (where === "path") field.value = ids[of] ?? field.value;
  };
  visitor.onChange(draw);
  draw();
  const output = element("pre", { class: "output", tabindex: "0", "aria-label": `What came of ${name}`, "aria-live": "polite", hidden: true });
  const send = async () => {
    output.hidden = false;
    output.textContent = "…";
    const filled = fields.filter(({ input: field }) => field.value !== "");
    const in_ = (where) => filled.filter((field) => field.in === where);
    const address = in_("path").reduce((text, { name: of, input: field }) => text.replace(`{${of}}`, encodeURIComponent(field.value)), path);
    const query = new URLSearchParams(in_("query").map(({ name: of, input: field }) => [of, field.value])).toString();
    const headers = { ...visitor.headers(), ...(input && { "content-type": "application/json" }) };
    try {
      const answer = await fetch(places.base + address + (query && `?${query}`), { method: method.toUpperCase(), headers, body: input?.value });
      output.textContent = `${answer.status}\n${shown(await answer.text())}`;
    } catch (error) {
      output.textContent = `Not sent: ${error.message}`;
    }
  };
  const button = element("button", { type: "button", class: "main", on: { click: send } }, "Send", hidden(` ${name}`));
  const labels = fields.map(({ name: of, required, description, input: field }) =>
    element("div", { class: "parameter" },
      element("span", {}, element("code", {}, of), required ? "" : element("span", { class: "faint" }, " optional")), field,
      element("span", { class: "faint" }, prose(description ?? ""))));
  return element("div", { class: "try" }, ...labels, input, element("div", {}, button), output);
}

function shown(text) {
  let whole = text;
  try {
    whole = pretty(JSON.parse(text));
  } catch {
    // It is no JSON, and shown as it is.
  }
  return whole.length > SHOWN ? `${whole.slice(0, SHOWN)}\n… ${whole.length - SHOWN} more characters` : whole;
}
