/** The page: picks a model, shows what can be done with it, and passes errors and news to whoever looks or listens. */
import { abilities } from "./abilities.js";
import { betweenView } from "./between.js";
import { cardView } from "./card.js";
import { codesView } from "./codes.js";
import { $, element } from "./dom.js";
import { drawView } from "./draw.js";
import { Engine } from "./engine.js";
import { Images, Tensor } from "./gen-runtime/index.js";
import { latentsView } from "./latents.js";
import { rebuildView } from "./rebuild.js";

const TITLES = {
  draw: "Draw",
  latents: "Latents",
  between: "Between seeds",
  codes: "Codes",
  rebuild: "Rebuild",
  card: "Card",
};
const VIEWS = {
  draw: drawView,
  latents: latentsView,
  between: betweenView,
  codes: codesView,
  rebuild: rebuildView,
  card: cardView,
};

class App {
  #engine = new Engine((isBusy) => ($("main").ariaBusy = isBusy));
  #leaving = new AbortController();
  #sources = [];
  #views = {};
  #entered = new Set();

  constructor() {
    this.state = new URLSearchParams(location.hash.slice(1));
    for (const [name, make] of Object.entries(VIEWS)) this.#views[name] = make(this);
  }

  async start() {
    const { threads } = await this.#engine.call("start", {});
    $("engine").textContent =
      `Runs in this page on ${threads === 1 ? "one thread" : `${threads} threads`}; nothing is sent anywhere.`;
    const response = await fetch("models.json");
    if (!response.ok) throw new Error(`models.json: expected a list of models, found ${response.status}`);
    this.#sources = (await response.json()).models;
    this.#list();
    const wanted = this.#sources.find(({ name }) => name === this.state.get("model"));
    const first = wanted ?? this.#sources.find(({ graphs }) => graphs.sample) ?? this.#sources[0];
    $("welcome").hidden = Boolean(first);
    const asked = this.state.get("model");
    if (first) await this.open(first);
    if (asked && !wanted) throw new Error(`${asked}: expected a model of this list, found none of that name`);
  }

  /** Opens a model and shows the tab that was open, or the first that it has. */
  async open(source) {
    this.#leaving.abort(new DOMException("another model was opened", "AbortError"));
    this.#leaving = new AbortController();
    this.report(`Opening ${source.name} …`);
    this.model = { name: source.name, ...(await this.#opened(source)) };
    this.can = { ...abilities(this.model), card: true };
    if (this.state.get("model") !== source.name) this.state = new URLSearchParams();
    this.remember({ model: source.name });
    this.#entered.clear();
    this.tab = null;
    $("about-model").textContent = aboutModel(this.model.card);
    this.report(`${source.name} is open.`);
    this.#showTabs();
  }

  /** The card and the graphs of a model that is opened; until then nothing can be asked of the one before. */
  async #opened(source) {
    const signal = this.#leaving.signal;
    $("model").value = source.name;
    $("tabs").inert = $("main").inert = true;
    try {
      return await this.call("open", { source: plainSource(source), graphs: source.graphs });
    } catch (error) {
      if (this.model && !signal.aborted) $("model").value = this.model.name;
      throw error;
    } finally {
      if (!signal.aborted) $("tabs").inert = $("main").inert = false;
    }
  }

  /** Calls the worker for the open model; the call ends when another is opened. */
  call(method, args, { signal, ...options } = {}) {
    return this.#engine.call(method, args, {
      ...options,
      signal: AbortSignal.any([this.#leaving.signal, ...(signal ? [signal] : [])]),
    });
  }

  /** Runs one of the model's graphs: its outputs by name. */
  async run(graph, inputs, options) {
    const outputs = await this.call("run", { graph, inputs }, options);
    const tensors = Object.entries(outputs).map(([name, { shape, data, dtype }]) => [
      name,
      new Tensor(shape, data, dtype),
    ]);
    return Object.fromEntries(tensors);
  }

  /** Other models of the list that draw pictures of the size of this one's. */
  get lenders() {
    const size = JSON.stringify(this.model.card.image);
    return this.#sources.filter(({ graphs, image }) => graphs?.sample && JSON.stringify(image) === size);
  }

  /** A picture drawn by this model, or by another that draws the same size. */
  async borrow(source, seed) {
    return new Images(await this.call("borrow", { source: plainSource(source), seed }));
  }

  /** Keeps values in the address, so that a link leads back here. */
  remember(values) {
    for (const [name, value] of Object.entries(values)) this.state.set(name, value);
    history.replaceState(null, "", `#${this.state}`);
  }

  /** Shows a tab; a gift, if there is one, is what it takes up. */
  go(name, gift) {
    for (const tab of $("tabs").children) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
    }
    for (const view of Object.keys(VIEWS)) $(`panel-${view}`).hidden = view !== name;
    if (this.tab) this.report("");
    this.tab = name;
    this.remember({ tab: name });
    const first = !this.#entered.has(name);
    this.#entered.add(name);
    this.try(async () => {
      if (first) await this.#views[name].show(this.model, this.can[name], gift);
      else if (gift) await this.#views[name].take(gift);
    });
  }

  /** Says what happened. */
  report(text) {
    $("status").textContent = text;
    $("error").hidden = true;
  }

  /** Does work, and says what went wrong, in one line. */
  async try(work) {
    try {
      await work();
    } catch (error) {
      if (error.name === "AbortError") return;
      $("error").textContent = error.message.split("\n")[0];
      $("error").hidden = false;
    }
  }

  /** Takes files that were dropped, pasted or picked: models are opened, an image goes where images are taken. */
  async take(files) {
    const models = files.filter(({ name }) => name.endsWith(".onnx"));
    if (models.length) return this.#openFiles(models);
    const image = files.find(({ type }) => type.startsWith("image/"));
    if (!image)
      throw new Error(
        `expected .onnx files or an image, found ${files.map(({ name }) => name).join(", ") || "nothing"}`,
      );
    const takesImages = (name) => (name === "rebuild" ? this.can?.rebuild : this.can?.[name]?.encoder);
    const place = [this.tab, "rebuild", "latents", "codes"].find(takesImages);
    if (!place) throw new Error("this model takes no images");
    this.go(place, { file: image });
  }

  /** Adds models that were dropped to the list, and opens the first: a main file is the shortest of its name. */
  async #openFiles(files) {
    const stems = files.map(({ name }) => name.replace(/\.onnx$/, ""));
    const mains = files.filter((_, i) => !stems.some((stem) => stems[i].startsWith(`${stem}.`)));
    const added = mains.map(({ name }) => ({ name: name.replace(/\.onnx$/, ""), files }));
    this.#sources = [...added, ...this.#sources.filter(({ name }) => !added.some((one) => one.name === name))];
    this.#list();
    await this.open(added[0]);
  }

  #list() {
    $("model").replaceChildren(...this.#sources.map(({ name }) => new Option(name)));
    $("model").disabled = !this.#sources.length;
    $("model").onchange = () => this.try(() => this.open(this.#sources[$("model").selectedIndex]));
  }

  #showTabs() {
    const names = Object.keys(VIEWS).filter((name) => this.can[name]);
    const tabs = names.map((name) =>
      element("button", {
        id: `tab-${name}`,
        textContent: TITLES[name],
        onclick: () => this.go(name),
        attributes: { role: "tab", "aria-controls": `panel-${name}` },
      }),
    );
    $("tabs").replaceChildren(...tabs);
    $("tabs").onkeydown = (event) => this.#step(event, names);
    $("welcome").hidden = true;
    const wanted = this.state.get("tab");
    this.go(names.includes(wanted) ? wanted : names[0]);
  }

  /** Arrow keys move between tabs. */
  #step(event, names) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const name = names[(names.indexOf(this.tab) + move + names.length) % names.length];
    this.go(name);
    $(`tab-${name}`).focus();
  }
}

/** What the worker needs of a source: an address, or files and the main one's name. */
function plainSource({ name, url, files }) {
  return files ? { name: `${name}.onnx`, files } : { url: new URL(url, location.href).href };
}

function aboutModel({ family, image, data }) {
  const size = `${image.width} × ${image.height} ${image.channels === 1 ? "grey" : "colour"}`;
  return [family, size, data?.name?.replaceAll("_", " ")].filter(Boolean).join(" · ");
}

const app = new App();
$("files").addEventListener("change", () => {
  const files = [...$("files").files];
  $("files").value = ""; // the same files may be chosen again
  app.try(() => app.take(files));
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  app.try(() => app.take([...event.dataTransfer.files]));
});
addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) app.try(() => app.take(files));
});
addEventListener("hashchange", () => location.reload()); // a link that was pasted; our own changes make no event
app.try(() => app.start());
