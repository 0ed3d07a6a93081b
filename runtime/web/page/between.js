/** The tab that goes from the picture of one seed to that of another. */
import { Controls, wholePort } from "./controls.js";
import { $, element, withProgress } from "./dom.js";
import { normals, slerp } from "./noise.js";
import { Tensor } from "./gen-runtime/index.js";
import { canvasOf, imagesOf, show } from "./pictures.js";

const FRAMES = 17;
const OTHERS = new Set(["eta"]); // the way has no fresh noise of its own
const SEEDS = [wholePort("seed_a", "where the way begins"), wholePort("seed_b", "where it ends")];

export function betweenView(app) {
  const [slider, strip] = [$("between-slider"), $("between-strip")];
  let ability = null;
  let controls = null;
  let frames = [];

  async function draw() {
    const { seed_a, seed_b, ...settings } = controls.values;
    app.remember(controls.texts);
    const shape = ability.noise.shape.slice(1);
    const size = shape.reduce((product, axis) => product * axis, 1);
    const [a, b] = [seed_a, seed_b].map((seed) => normals(seed, 0n, size));
    frames = [];
    strip.replaceChildren();
    await withProgress("between", FRAMES, async (signal, done) => {
      for (const t of order()) {
        const noise = new Tensor([1, ...shape], slerp(a, b, t / (FRAMES - 1)));
        const { images } = await app.run("sample_from_noise", { ...settings, noise }, { signal });
        frames[t] = imagesOf(images);
        done(Object.keys(frames).length);
        lay();
      }
    });
    app.report(`${FRAMES} pictures from seed ${seed_a} to seed ${seed_b}.`);
  }

  /** The ends first, then the middle, then the rest, so that the way shows early. */
  function* order() {
    const seen = new Set();
    for (let gap = FRAMES - 1; gap >= 1; gap /= 2)
      for (let t = 0; t < FRAMES; t += gap) if (!seen.has(t)) yield (seen.add(t), t);
  }

  function lay() {
    strip.replaceChildren(
      ...frames
        .map((picture, t) => {
          const choose = () => ((slider.value = t), look());
          const button = element(
            "button",
            { type: "button", ariaLabel: `${t} of ${FRAMES - 1} from A to B`, onclick: choose },
            canvasOf(picture),
          );
          return element("li", {}, button);
        })
        .filter(Boolean),
    );
    look();
  }

  /** Shows the picture at the slider, or the nearest that is there. */
  function look() {
    const at = Number(slider.value);
    const nearest = Object.keys(frames)
      .map(Number)
      .sort((a, b) => Math.abs(a - at) - Math.abs(b - at))[0];
    if (nearest === undefined) return;
    show($("between-picture"), frames[nearest]);
    slider.setAttribute("aria-valuetext", `${Math.round((100 * at) / (FRAMES - 1))} % of the way`);
  }

  slider.max = FRAMES - 1;
  slider.addEventListener("input", look);
  $("between-form").addEventListener("submit", (event) => {
    event.preventDefault();
    app.try(draw);
  });

  return {
    async show(_, able) {
      ability = able;
      slider.value = (FRAMES - 1) / 2;
      const ports = [...SEEDS, ...able.settings.filter(({ name }) => !OTHERS.has(name))];
      const start = {
        seed_a: "7",
        seed_b: "8",
        ...(able.settings.some(({ name }) => name === "steps") && { steps: "20" }),
      };
      controls = new Controls($("between-controls"), "between-field", ports, {
        ...start,
        ...Object.fromEntries(app.state),
      });
      await draw();
    },
  };
}
