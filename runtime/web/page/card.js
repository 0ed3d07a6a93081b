/** The tab that shows what a file says of itself. */
import { $, element } from "./dom.js";

const SECTIONS = {
  config: "Built with",
  training: "Training",
  data: "Data",
  schedule: "Noise schedule",
  noise: "Noise",
  tool: "Written by",
};

export function cardView() {
  return {
    async show({ card, graphs }) {
      const sections = Object.entries(SECTIONS).filter(([name]) => card[name]);
      $("card").replaceChildren(
        element("p", { textContent: card.summary }),
        element("div", { className: "sections" }, ...sections.map(([name, title]) => section(title, card[name]))),
        ...(card.verified ? [facts(card.verified)] : []),
        ...Object.entries(graphs).map(([name, ports]) => graphTable(name, ports, name === card.graph)),
        ...(card.parity?.length ? [parity(card.parity)] : []),
      );
    },
  };
}

/** What was checked on the file, a fact a line. */
function facts({ facts: found, passed, skipped }) {
  const rows = Object.entries(found).map(([name, { kind, verdict, error, bound }]) => [
    shortName(name),
    kind,
    verdict,
    number(error),
    number(bound),
  ]);
  const title = `${passed} facts passed${skipped ? `, ${skipped} skipped` : ""}`;
  return details(title, table(["fact", "evidence", "verdict", "worst error", "bound"], rows), true);
}

function section(title, values) {
  const items = Object.entries(values).flatMap(([name, value]) => [
    element("dt", { textContent: words(name) }),
    element("dd", { textContent: text(value) }),
  ]);
  return element("section", {}, element("h2", { textContent: title }), element("dl", {}, ...items));
}

function graphTable(name, { inputs, outputs }, open) {
  const row = (way) => (port) => [
    way,
    port.name,
    `${port.dtype} [${port.shape.join(", ")}]`,
    range(port),
    port.default ?? "",
    port.description,
  ];
  const rows = [...inputs.map(row("in")), ...outputs.map(row("out"))];
  return details(`Graph ${name}`, table(["", "port", "type", "range", "default", "what it is"], rows), open);
}

function parity(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  return details(
    "Differences from PyTorch",
    table(
      names.map(words),
      rows.map((row) => names.map((name) => number(row[name]))),
    ),
    false,
  );
}

const details = (title, body, open) => element("details", { open }, element("summary", { textContent: title }), body);

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((textContent) => element("th", { textContent, scope: "col" })));
  const body = rows.map((row) => element("tr", {}, ...row.map((textContent) => element("td", { textContent }))));
  return element(
    "div",
    { className: "scroll", tabIndex: 0 },
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)),
  );
}

function range({ choices, minimum, maximum }) {
  if (choices?.length) return choices.join(", ");
  if (minimum === null) return maximum === null ? "" : `at most ${maximum}`;
  return maximum === null ? `at least ${minimum}` : `${minimum} to ${maximum}`;
}

/** The theorem's own name, without the path to it. */
const shortName = (name) => name.split(".").slice(-2).join(".");
const words = (name) => name.replaceAll("_", " ");
const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : (value ?? ""));

function text(value) {
  if (Array.isArray(value)) return value.map(text).join(", ");
  if (value && typeof value === "object")
    return Object.entries(value)
      .map(([name, one]) => `${words(name)} ${text(one)}`)
      .join(", ");
  return typeof value === "number" ? number(value) : String(value ?? "none");
}
