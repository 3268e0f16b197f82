// The playground: two people with their devices, and the log between them.
import { Device } from "./device.js";
import { DeviceView } from "./device_view.js";
import { Disk } from "./disk.js";
import { element, hidden, places } from "./dom.js";
import { EventLog } from "./event_log.js";

/** The devices that each has at first, and the names of further ones. */
const NAMES = ["phone", "laptop", "tablet", "watch"];
const AT_FIRST = 2;
/** A token is asked for anew when it ends within this time, in milliseconds. */
const MARGIN = 90_000;

const trouble = document.getElementById("trouble");
const stage = document.getElementById("stage");
const told = document.getElementById("told");
const log = new EventLog();

/** The two players with their tokens, asked for once for all devices that need them at the same time. */
class Players {
  #asked;

  async get() {
    const known = await this.#asked?.catch(() => undefined);
    if (!known || known.some(({ expiresAt }) => Date.parse(expiresAt) - Date.now() < MARGIN)) {
      this.#asked = this.#ask();
      // Who waits is told by the promise itself.
      this.#asked.catch(() => undefined);
    }
    return this.#asked;
  }

  async #ask() {
    const answer = await fetch(`${places.base}/playground/tokens`, { method: "POST" });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error.message);
    return body.users.map((player) => ({ ...player, name: player.user.displayName ?? player.user.username }));
  }
}

function person(player, peer, token) {
  const names = [];
  const devices = element("div", { class: "person" });
  const add = () => {
    const name = NAMES.find((free) => !names.includes(free));
    names.push(name);
    const who = `${player.name}’s ${name}`;
    log.knows(who);
    let view;
    const device = new Device({
      name, player, peer, token, disk: new Disk(),
      log: (kind, what, ...details) => log.add(kind, who, what, ...details),
      changed: () => view?.draw(),
    });
    view = new DeviceView(device, {
      told: (text) => (told.textContent = text),
      removed: () => {
        device.remove();
        view.root.remove();
        names.splice(names.indexOf(name), 1);
        log.add("note", who, "is removed");
        addButton.disabled = false;
        addButton.focus();
      },
    });
    devices.append(view.root);
    device.open();
    addButton.disabled = names.length === NAMES.length;
  };
  const addButton = element("button", { type: "button", on: { click: add } }, "Add a device", hidden(` of ${player.name}`));
  devices.append(element("header", {}, element("h2", {}, player.name), element("span", { class: "faint" }, player.user.username), addButton));
  for (let count = 0; count < AT_FIRST; count += 1) add();
  return element("section", { "aria-label": player.name }, devices);
}

async function begin() {
  const players = new Players();
  const [ada, grace] = await players.get();
  const token = (place) => async () => (await players.get())[place].token;
  // The log stands between them, also for those who go through the page by keyboard.
  stage.replaceChildren(person(ada, grace, token(0)), log.root, person(grace, ada, token(1)));
}

begin().catch((error) => {
  trouble.textContent = `The playground can’t begin: ${error.message}`;
});
