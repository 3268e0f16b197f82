// JSON Schema for people: a table of fields, those of inner objects below their own.
import { element } from "./dom.js";

/** Deeper objects are named and not shown. */
const DEPTH = 3;

/** Resolves the references of a document. */
export class Document {
  constructor(json) {
    this.json = json;
  }

  /** What a `$ref` leads to, or the value itself. */
  find(value) {
    if (!value?.$ref) return value;
    const steps = value.$ref.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    return this.find(steps.reduce((at, step) => at?.[step], this.json));
  }

  /** A schema with all of which it is made put together. */
  whole(schema) {
    const found = this.find(schema) ?? {};
    const parts = (found.allOf ?? []).map((part) => this.whole(part));
    const all = [...parts, found];
    const merged = Object.assign({}, ...all);
    const properties = Object.assign({}, ...all.map((part) => part.properties));
    if (Object.keys(properties).length > 0) merged.properties = properties;
    const required = all.flatMap((part) => part.required ?? []);
    if (required.length > 0) merged.required = required;
    return merged;
  }

  /** What a value may be, in a few words. */
  type(schema) {
    const { type, items, format, enum: values, const: only, oneOf, anyOf, minimum, maximum, minLength, maxLength } = this.whole(schema);
    if (only !== undefined) return JSON.stringify(only);
    if (values) return values.length > 6 ? `one of ${values.length} texts` : values.map((value) => JSON.stringify(value)).join(" or ");
    const either = (oneOf ?? anyOf)?.filter((one) => this.whole(one).type !== "null");
    if (either) return [...new Set(either.map((one) => this.type(one)))].join(" or ");
    if (items) return `list of ${this.type(items)}`;
    const name = [type].flat().filter((one) => one !== "null").join(" or ") || "anything";
    const size = [minimum ?? minLength, maximum ?? maxLength].map((bound) => bound ?? "");
    const bounds = size.some((bound) => bound !== "") ? ` (${size.join("–")}${minLength ?? maxLength ? " characters" : ""})` : "";
    return (format && type === "string" ? `${name}, ${format}` : name) + bounds;
  }

  /** The fields of an object, `[path, type, required, words]` each. */
  fields(schema, path = "", depth = 0) {
    const whole = this.whole(schema);
    const inner = whole.oneOf ?? whole.anyOf;
    if (!whole.properties && inner && depth < DEPTH) {
      const seen = new Map();
      for (const one of inner) for (const row of this.fields(one, path, depth + 1)) seen.set(row[0], seen.has(row[0]) ? [...row.slice(0, 2), false, row[3]] : row);
      return [...seen.values()];
    }
    if (whole.items && depth < DEPTH) return this.fields(whole.items, `${path}[]`, depth);
    const rows = [];
    for (const [name, value] of Object.entries(whole.properties ?? {})) {
      const at = path ? `${path}.${name}` : name;
      const { description } = this.whole(value);
      rows.push([at, this.type(value), whole.required?.includes(name) ?? false, description ?? ""]);
      if (depth < DEPTH) rows.push(...this.fields(value, at, depth + 1));
    }
    return rows;
  }
}

/** The table of a schema's fields, or what it is if it has none. */
export function table(document, schema, caption) {
  const rows = document.fields(schema);
  if (rows.length === 0) return element("p", { class: "faint" }, `${caption}: ${document.type(schema)}`);
  const head = ["Field", "Type", "Meaning"].map((name) => element("th", { scope: "col" }, name));
  return element("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption }, element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows.map(([path, type, isRequired, words]) => element("tr", {},
      element("th", { scope: "row" }, element("code", {}, path), isRequired ? "" : element("span", { class: "faint" }, " optional")),
      element("td", {}, type), element("td", {}, prose(words)))))));
}

/** A text with what stands in backticks as code. */
export function prose(text) {
  const parts = text.split("`").map((part, place) => (place % 2 === 1 ? element("code", {}, part) : part));
  return element("span", {}, ...parts);
}

export const pretty = (value) => JSON.stringify(value, null, 2);
