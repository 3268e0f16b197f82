// Making parts of a page. Texts become text and never markup.

/** Where this server's things are, as the page says. */
export const places = {
  base: document.documentElement.dataset.base ?? "",
  socket: `${document.documentElement.dataset.socket}/`,
};

/** An element with these properties (`class`, `data`, `on`, attributes, or properties of its own) and children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "on") for (const [event, handle] of Object.entries(value)) made.addEventListener(event, handle);
    else if (name in made && !name.includes("-") && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** A text for screen readers only. */
export const hidden = (text) => element("span", { class: "hidden-text" }, text);

/** The time of the day, with milliseconds where they matter. */
export function clock(date, precise = false) {
  const pad = (number, digits = 2) => String(number).padStart(digits, "0");
  const minutes = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return precise ? `${minutes}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}` : minutes;
}
