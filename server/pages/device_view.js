// How a device looks: its state, the conversation with ticks, a line to write, and what can be done to it.
import { clock, element, hidden } from "./dom.js";

const STATES = { connecting: "connecting …", connected: "connected", off: "cut off", closed: "tab killed" };
const TICKS = {
  waiting: ["◷", "waits to be sent"],
  failed: ["✗", "refused"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
};
const DELAYS = [0, 500, 2_000];
/** As many messages are shown. */
const SHOWN = 100;

export class DeviceView {
  constructor(device, { told, removed }) {
    this.device = device;
    const label = `${device.player.name}’s ${device.name}`;
    const button = (text, handle) =>
      element("button", { type: "button", on: { click: handle } }, text, hidden(` ${label}`));
    this.state = element("span", { class: "state" });
    this.online = element("span");
    this.typing = element("span", { class: "typing" });
    this.list = element("ol", { class: "messages", tabindex: "0", "aria-label": `Messages on ${label}` });
    this.input = element("input", {
      type: "text", maxlength: "2000", autocomplete: "off", placeholder: `Message to ${device.peer.name}`,
      "aria-label": `Message from ${label} to ${device.peer.name}`,
      on: {
        input: () => {
          device.typing(this.input.value !== "");
          this.draw();
        },
        blur: () => device.typing(false),
      },
    });
    this.sendButton = element("button", { type: "submit", class: "main" }, "Send", hidden(` from ${label}`));
    this.twice = button("Send twice", () => this.#send(true));
    const form = element("form", { class: "write", on: { submit: (event) => {
      event.preventDefault();
      this.#send();
    } } }, this.input, this.sendButton, this.twice);
    this.cut = button("Cut off", () => (device.state === "off" ? device.connect() : device.cut()));
    this.kill = button("Kill tab", () => (device.state === "closed" ? device.open() : device.kill()));
    const delay = element(
      "select", { on: { change: ({ target }) => (device.delay = Number(target.value)) } },
      ...DELAYS.map((ms) => element("option", { value: String(ms) }, ms === 0 ? "none" : `${ms / 1_000} s`)),
    );
    this.readButton = button("Read all", () => device.read());
    this.unread = element("span", { class: "unread" });
    this.removeButton = button("Remove", removed);
    this.root = element(
      "section", { class: "device", "aria-label": label, data: { device: `${device.player.name} ${device.name}` } },
      element("header", {}, element("h3", {}, device.name), this.state, this.unread,
        element("span", { class: "peer" }, this.online, this.typing, this.removeButton)),
      this.list, form,
      element("div", { class: "tools" }, this.readButton, this.cut, this.kill,
        element("label", {}, "Delay", hidden(` of ${label}`), delay)),
    );
    this.told = told;
    this.label = label;
    this.draw();
  }

  #send(twice = false) {
    const text = this.input.value;
    if (text === "") return;
    this.input.value = "";
    this.device.send(text, twice);
    this.input.focus();
    this.draw();
  }

  /** Draws it as it is now. */
  draw() {
    const { device } = this;
    const { disk, peer, state, transport } = device;
    const isOpen = state !== "closed";
    if (this.state.dataset.state !== state && this.state.dataset.state) this.told(`${this.label}: ${STATES[state]}`);
    this.state.dataset.state = state;
    this.state.textContent = STATES[state] + (transport ? ` · ${transport}` : "");
    this.online.textContent = isOpen && state === "connected" ? `${peer.name} is ${device.peerOnline ? "online" : "offline"}` : "";
    this.typing.textContent = device.peerTyping ? `${peer.name} is typing …` : "";
    this.unread.dataset.count = isOpen ? disk.unread : 0;
    this.unread.textContent = isOpen ? `${disk.unread} unread` : "";
    this.cut.firstChild.data = state === "off" ? "Connect" : "Cut off";
    this.kill.firstChild.data = isOpen ? "Kill tab" : "Open tab";
    this.cut.disabled = this.input.disabled = !isOpen;
    this.sendButton.disabled = this.twice.disabled = !isOpen || this.input.value === "";
    this.readButton.disabled = state !== "connected" || disk.unread === 0;
    this.#drawMessages(isOpen);
  }

  #drawMessages(isOpen) {
    const { disk, player } = this.device;
    const rows = [];
    if (isOpen) {
      for (const message of disk.sorted()) {
        const isOwn = message.sender === player.user._id;
        rows.push([message._id, message.message, isOwn, isOwn ? disk.progress(message) : "", message.createdAt]);
      }
      // What is stored and not acknowledged to this device yet stands last.
      for (const { clientMessageId, text, state, at } of disk.outbox) rows.push([clientMessageId, text, true, state, at]);
    }
    const shown = rows.slice(-SHOWN);
    const drawn = JSON.stringify([isOpen, shown]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const empty = isOpen ? "No message yet" : "A killed tab shows nothing";
    this.list.replaceChildren(...shown.map(row), ...(shown.length === 0 ? [element("li", { class: "empty" }, empty)] : []));
    this.list.scrollTop = this.list.scrollHeight;
  }
}

function row([, text, isOwn, state, at]) {
  const meta = element("span", { class: "meta" }, clock(new Date(at)));
  if (isOwn) {
    const [sign, words] = TICKS[state];
    meta.append(" ", element("span", { class: "ticks", data: { state }, title: words, "aria-hidden": "true" }, sign), hidden(words));
  }
  return element("li", { class: isOwn ? "own" : "" }, text, meta);
}
