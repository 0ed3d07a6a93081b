/** Form fields made from a graph's ports: what a port says of its range and choices decides what the field is. */
import { element } from "./dom.js";

const STEEPEST = 4;

/** Fields for ports, in an element. */
export class Controls {
  #fields = new Map();

  /**
   * @param {HTMLElement} root where the fields go, in the place of what is there
   * @param {string} prefix of the fields' ids
   * @param {import("./abilities.js").Port[]} ports single numbers all
   * @param {Record<string, string>} start values to begin with, as text
   */
  constructor(root, prefix, ports, start) {
    root.replaceChildren(...ports.map((port) => this.#add(port, `${prefix}-${port.name}`)));
    for (const port of ports)
      this.set(port.name, start[port.name] ?? (port.default === null ? "0" : textOf(port, port.default)));
  }

  /** The values by name: names of choices, whole numbers as bigint where they may be large, and floats. */
  get values() {
    return Object.fromEntries(
      [...this.#fields].map(([name, { input, read }]) => {
        if (!input.checkValidity()) throw new Error(`${name}: ${input.validationMessage.toLowerCase()}`);
        return [name, read(input.value)];
      }),
    );
  }

  /** The values as text. */
  get texts() {
    return Object.fromEntries([...this.#fields].map(([name, { input }]) => [name, input.value]));
  }

  /** Sets a field; text that the field cannot hold is left out. */
  set(name, text) {
    const { input } = this.#fields.get(name);
    const before = input.value;
    input.value = text;
    if (!input.value || !input.checkValidity()) input.value = before;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #add(port, id) {
    const input = inputFor(port, id);
    const parts = port.choices?.length || !bounded(port) ? [input] : [slider(port, input), input];
    this.#fields.set(port.name, { input, read: reader(port) });
    const help = element("small", { id: `${id}-help`, textContent: port.description });
    const label = element("label", { htmlFor: id, textContent: port.name.replaceAll("_", " ") });
    return element("div", { className: "field" }, label, element("div", { className: "inputs" }, ...parts), help);
  }
}

function inputFor(port, id) {
  const attributes = { "aria-describedby": `${id}-help` };
  if (port.choices?.length)
    return element("select", { id, name: port.name, attributes }, ...port.choices.map((choice) => new Option(choice)));
  if (port.dtype === "int64" && !bounded(port)) {
    Object.assign(attributes, {
      inputmode: "numeric",
      pattern: port.minimum === null ? "-?\\d{1,19}" : "\\d{1,19}",
      required: "",
    });
    return element("input", { id, name: port.name, type: "text", autocomplete: "off", attributes });
  }
  const step = port.dtype.startsWith("int") ? 1 : "any";
  return element("input", {
    id,
    name: port.name,
    type: "number",
    min: port.minimum,
    max: port.maximum,
    step,
    required: true,
    attributes,
  });
}

/** A slider over a port's range that moves its number; where the default lies low, it spreads the low end. */
function slider(port, number) {
  const span = port.maximum - port.minimum;
  const middle = (port.default - port.minimum) / span;
  const steepness = middle > 0 && middle < 0.5 ? Math.min(STEEPEST, Math.log(middle) / Math.log(0.5)) : 1;
  const range = element("input", {
    type: "range",
    min: 0,
    max: 1,
    step: "any",
    tabIndex: -1,
    attributes: { "aria-hidden": "true" },
  });
  range.addEventListener("input", () => {
    number.value = textOf(port, port.minimum + span * range.value ** steepness);
    number.dispatchEvent(new Event("input", { bubbles: true }));
  });
  number.addEventListener("input", () => {
    if (document.activeElement !== range) range.value = ((number.value - port.minimum) / span) ** (1 / steepness);
  });
  return range;
}

function reader(port) {
  if (port.choices?.length) return (text) => text;
  return port.dtype === "int64" && !bounded(port) ? BigInt : Number;
}

function textOf(port, value) {
  if (port.choices?.length) return port.choices[value];
  return port.dtype.startsWith("int") ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** A port of our own: a single whole number without an end. */
export function wholePort(name, description, minimum = null) {
  return { name, dtype: "int64", shape: [], description, minimum, maximum: null, default: null, optional: false };
}

const bounded = (port) => port.minimum !== null && port.maximum !== null;
