// The small parts that the view is built of.

const MARKS = {
  queued: ["i-clock", "waits to be sent"],
  accepted: ["i-tick", "accepted"],
  delivered: ["i-ticks", "delivered"],
  refused: ["i-alert", "not delivered"],
};

// make builds an element; a string among the children is text.
export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function icon(id, className) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#" + id);
  if (className) svg.setAttribute("class", className);
  svg.append(use);
  return svg;
}

export function mark(state) {
  const [id, label] = MARKS[state] ?? MARKS.queued;
  const svg = icon(id, state === "delivered" ? "mark done" : "mark");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg;
}

// paint fills an avatar: the first letter of a name, on a color that the name always has.
export function paint(element, name) {
  let hash = 2166136261;
  for (const c of name) hash = Math.imul(hash ^ c.codePointAt(0), 16777619);
  element.dataset.hue = (hash >>> 16) % 8;
  element.textContent = ([...name][0] ?? "•").toUpperCase();
  return element;
}
