/** The tab that draws pictures from a seed. */
import { Controls } from "./controls.js";
import { $, element, withProgress } from "./dom.js";
import { grid as sheet, Images } from "./gen-runtime/index.js";
import { canvasOf, save } from "./pictures.js";
import { Viewer } from "./viewer.js";

const START = { seed: "7", count: "16", first: "0" };
const MOST = 256;

export function drawView(app) {
  const [form, grid] = [$("draw-form"), $("draw-grid")];
  const viewer = new Viewer(app);
  let controls = null;
  let pictures = [];

  async function draw() {
    const { seed, count, first = 0n, ...inputs } = controls.values;
    app.remember(controls.texts);
    pictures = [];
    grid.replaceChildren();
    grid.style.setProperty("--columns", Math.ceil(Math.sqrt(count)));
    const began = performance.now();
    await withProgress("draw", count, (signal, done) =>
      app.call(
        "draw",
        { inputs: { ...inputs, seed }, count, first },
        {
          signal,
          part(batch) {
            const images = new Images(batch);
            for (let i = 0; i < images.count; i++) add(images.at(i), seed, first);
            done(pictures.length);
            app.report(`${pictures.length} of ${count} pictures, ${seconds(began)}`);
          },
        },
      ),
    ).finally(() => ($("draw-after").hidden = !pictures.length));
    app.report(`${count} picture${count === 1 ? "" : "s"} of seed ${seed} in ${seconds(began)}.`);
  }

  function add(picture, seed, first) {
    const i = pictures.push(picture) - 1;
    const open = () => viewer.open(pictures, i, { seed, first });
    grid.append(
      element(
        "li",
        {},
        element(
          "button",
          { type: "button", ariaLabel: `Picture ${first + BigInt(i)}: enlarge`, onclick: open },
          canvasOf(picture),
        ),
      ),
    );
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    app.try(draw);
  });
  $("draw-next").onclick = () =>
    app.try(() => {
      controls.set("seed", String(controls.values.seed + 1n));
      form.requestSubmit();
    });
  $("draw-save").onclick = () =>
    save(sheet(joined(pictures)), `${app.model.card.family}-seed-${controls.texts.seed}.png`);
  $("draw-link").onclick = () =>
    app.try(async () => {
      await navigator.clipboard.writeText(location.href);
      app.report("The link is copied: it draws these pictures again.");
    });

  return {
    async show(_, { ports }) {
      const named = ports.map((port) => (port.name === "count" ? { ...port, maximum: MOST } : port));
      const order = [...named].sort((a, b) => (a.name === "first") - (b.name === "first"));
      controls = new Controls($("draw-controls"), "draw-field", order, { ...START, ...Object.fromEntries(app.state) });
      $("draw-after").hidden = true;
      await draw();
    },
  };
}

/** Pictures of one size as one batch. */
function joined(pictures) {
  const [
    {
      width,
      height,
      channels,
      data: { length },
    },
  ] = pictures;
  const data = new Uint8Array(pictures.length * length);
  pictures.forEach((picture, i) => data.set(picture.data, i * length));
  return new Images({ count: pictures.length, width, height, channels, data });
}

const seconds = (began) => `${((performance.now() - began) / 1000).toFixed(1)} s`;
