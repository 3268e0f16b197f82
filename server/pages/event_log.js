// The log between the two people: what devices send and receive, the newest last. What is longest ago leaves it.
import { clock, element } from "./dom.js";

/** As many lines are kept. */
const KEPT = 300;
const ARROWS = { sent: "→", received: "←", answer: "⇠", failed: "✗", hint: "!", note: "·" };
const WORDS = { sent: "sends", received: "receives", answer: "", failed: "", hint: "is told", note: "" };

export class EventLog {
  constructor() {
    this.list = element("ol", { tabindex: "0", role: "list", "aria-label": "Events and answers, the newest last" });
    this.chosen = element("select", { on: { change: () => this.#filter() } }, element("option", { value: "" }, "All devices"));
    this.root = element(
      "section", { class: "events", "aria-label": "Log" },
      element("header", {}, element("h2", {}, "Log"),
        element("label", { class: "filter" }, element("span", { class: "hidden-text" }, "Show"), this.chosen),
        element("button", { type: "button", on: { click: () => this.list.replaceChildren() } }, "Clear log")),
      this.list,
    );
  }

  /** A device of which lines will come. */
  knows(who) {
    if (![...this.chosen.options].some(({ value }) => value === who)) this.chosen.append(element("option", { value: who }, who));
  }

  /** Adds a line: of which kind, of whom, about what, with these details. */
  add(kind, who, what, ...details) {
    const time = element("time", {}, clock(new Date(), true));
    const text = [
      time,
      element("span", { "aria-hidden": "true" }, ARROWS[kind]),
      element("span", { class: "what" }, element("span", { class: "who" }, `${who} ${WORDS[kind]}`.trim()), " ",
        kind === "note" ? what : element("b", {}, what)),
    ];
    const shown = details.filter((detail) => detail !== undefined);
    const body = shown.length === 0
      ? element("div", { class: "line" }, ...text)
      : element("details", {}, element("summary", {}, ...text),
        element("pre", {}, shown.map((detail) => JSON.stringify(detail, null, 1)).join("\n")));
    const line = element("li", { data: { kind, who, what }, hidden: this.#hides(who) }, body);
    const isAtEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    this.list.append(line);
    while (this.list.children.length > KEPT) this.list.firstChild.remove();
    if (isAtEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  #hides(who) {
    return this.chosen.value !== "" && this.chosen.value !== who;
  }

  #filter() {
    for (const line of this.list.children) line.hidden = this.#hides(line.dataset.who);
    this.list.scrollTop = this.list.scrollHeight;
  }
}
