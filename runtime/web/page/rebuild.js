/** The tab that takes an image through a model and back, with patches hidden where the model fills them in. */
import { Controls, wholePort } from "./controls.js";
import { $, element, onFile } from "./dom.js";
import { latest } from "./engine.js";
import { hidden } from "./noise.js";
import { imageTensor, Tensor, tensorImages } from "./gen-runtime/index.js";
import { canvasOf, difference, inverted, readImage } from "./pictures.js";

const HIDING = [
  {
    ...wholePort("ratio", "share of the patches that the model does not see", 0),
    dtype: "float32",
    maximum: 1,
    default: 0.75,
  },
  wholePort("seed", "which patches those are"),
];

export function rebuildView(app) {
  let ability = null;
  let controls = null;
  let image = null;
  let seed = 7n;

  const rebuild = latest(async () => {
    const shown = $("rebuild-invert").checked ? inverted(image) : image;
    const outputs = await app.run("reconstruct", { [ability.image.name]: imageTensor(shown), ...mask() });
    const [main, ...others] = ability.outputs.map(({ name }) => ({ name, picture: tensorImages(outputs[name]) }));
    const { picture, rms } = difference(shown, main.picture);
    const stages = [{ name: "image", picture: shown }, ...others, main, { name: "difference", picture }];
    $("rebuild-pictures").replaceChildren(...stages.map(figure));
    $("rebuild-errors").textContent = `${rms.toFixed(1)} of 255 grey levels apart (root mean square).`;
    app.report(`Rebuilt, ${rms.toFixed(1)} grey levels apart.`);
  });

  function mask() {
    if (!ability.mask) return {};
    const [, rows, columns] = ability.mask.shape;
    const { ratio, seed: hiding } = controls.values;
    return { [ability.mask.name]: new Tensor([1, rows, columns], hidden(hiding, ratio, rows * columns), "bool") };
  }

  async function take(picture) {
    image = picture;
    await rebuild();
  }

  /** A picture by this model, or by another of its size. */
  async function draw(lender) {
    await take(await app.borrow(lender, seed++));
  }

  const fromFile = async (file) => take(await readImage(file, app.model.card.image));

  const takeGift = ({ file, picture }) => (file ? fromFile(file) : take(picture));

  onFile($("rebuild-file"), (file) => app.try(() => fromFile(file)));
  $("rebuild-invert").addEventListener("change", () => image && app.try(rebuild));
  $("rebuild-mask").addEventListener("input", () => image && app.try(rebuild));

  return {
    async show(_, able, gift) {
      ability = able;
      image = null;
      $("rebuild-pictures").replaceChildren();
      $("rebuild-errors").textContent = "";
      controls = new Controls($("rebuild-mask"), "rebuild-field", able.mask ? HIDING : [], {});
      const [lender] = [...app.lenders].sort((a, b) => (b.name === app.model.name) - (a.name === app.model.name));
      $("rebuild-drawn").hidden = !lender;
      $("rebuild-lender").textContent = lender ? `with ${lender.name}` : "";
      $("rebuild-drawn").onclick = () => app.try(() => draw(lender));
      if (gift) await takeGift(gift);
      else if (lender) await draw(lender);
    },
    take: takeGift,
  };
}

function figure({ name, picture }) {
  const canvas = Object.assign(canvasOf(picture), { role: "img", ariaLabel: name });
  return element("li", {}, element("figure", {}, canvas, element("figcaption", { textContent: name })));
}
