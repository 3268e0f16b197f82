// The reference: every event and request of this server, from the documents that it serves, to be searched and tried.
import { aboutEvents } from "./docs_events.js";
import { aboutHttp } from "./docs_http.js";
import { element, places } from "./dom.js";
import { Document } from "./schema_view.js";
import { Visitor } from "./visitor.js";

const trouble = document.getElementById("trouble");
const told = document.getElementById("told");
const parts = document.getElementById("parts");
const contents = document.getElementById("contents");

async function load(name) {
  const answer = await fetch(`${places.base}/${name}`);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return new Document(await answer.json());
}

/** A part of the page, and its list in the contents. */
function show({ title, words, items }) {
  const id = title.toLowerCase().replaceAll(/\W+/g, "-");
  const listed = [];
  for (const item of items) {
    item.node.id = item.id;
    item.link = element("li", {}, element("a", { href: `#${item.id}` }, item.name));
    item.text = `${item.name} ${item.node.textContent}`.toLowerCase();
    listed.push(item.link);
  }
  const list = element("ul", {}, ...listed);
  contents.append(element("h2", {}, element("a", { href: `#${id}` }, title)), list);
  const section = element("section", { "aria-labelledby": id }, element("h2", { id }, title), element("p", {}, words), ...items.map(({ node }) => node));
  parts.append(section);
  return items;
}

function search(items) {
  const input = element("input", { type: "search", id: "search", autocomplete: "off" });
  const count = element("p", { class: "faint", role: "status" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { node, link, text } of items) {
      const isHit = words.every((word) => text.includes(word));
      node.hidden = link.hidden = !isHit;
      found += isHit ? 1 : 0;
    }
    count.textContent = words.length === 0 ? "" : `${found} of ${items.length} fit`;
  });
  contents.prepend(element("div", { role: "search" }, element("label", { for: "search" }, "Search"), input, count));
}

async function begin() {
  const [events, http] = await Promise.all([load("asyncapi.json"), load("openapi.json")]);
  const visitor = new Visitor((text) => (told.textContent = text));
  const items = [...aboutEvents(events, visitor), aboutHttp(http, visitor)].flatMap(show);
  search(items);
  const form = document.getElementById("token");
  const text = document.getElementById("token-text");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    visitor.be(text.value.trim());
  });
  document.getElementById("as-player")?.addEventListener("click", async () => {
    text.value = (await visitor.bePlayer()) ?? text.value;
  });
  // A link to a part leads there once the part is made.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

begin().catch((error) => {
  trouble.textContent = `The documents of this server can’t be read: ${error.message}`;
});
