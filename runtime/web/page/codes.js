/** The tab that shows an image's codes as a coloured grid, and decodes each change of one. */
import { Controls, wholePort } from "./controls.js";
import { $, element, onFile } from "./dom.js";
import { latest } from "./engine.js";
import { imageTensor, Tensor, tensorImages } from "./gen-runtime/index.js";
import { canvasOf, imagesOf, middleOf, readImage, show } from "./pictures.js";

const CHUNK = 32;
const GOLDEN_ANGLE = 137.508; // degrees: neighbours in number are far apart in hue
const SEED = wholePort("seed", "whose first picture");

export function codesView(app) {
  const [grid, palette, number] = [$("codes-grid"), $("codes-palette"), $("codes-edit").querySelector("input")];
  let ability = null;
  let controls = null;
  let codes = new BigInt64Array();
  let chosen = 0;

  async function decode(indices, count) {
    const [, rows, columns] = ability.port.shape;
    const outputs = await app.run(ability.graph, { [ability.port.name]: new Tensor([count, rows, columns], indices) });
    return tensorImages(outputs[ability.image]);
  }

  const redraw = latest(async () => show($("codes-picture"), await decode(codes, 1)));

  /** Puts codes on the grid. */
  async function take(indices, note) {
    codes = BigInt64Array.from(indices);
    const [, , columns] = ability.port.shape;
    grid.style.setProperty("--columns", columns);
    grid.replaceChildren(
      ...Array.from(codes, (_, i) => element("button", { type: "button", onclick: () => choose(i) })),
    );
    $("codes-note").textContent = note;
    codes.forEach((_, i) => paint(i));
    choose(0, false);
    await redraw();
  }

  function paint(i) {
    const [, , columns] = ability.port.shape;
    const cell = grid.children[i];
    cell.style.setProperty("--hue", (Number(codes[i]) * GOLDEN_ANGLE) % 360);
    cell.textContent = codes[i];
    cell.ariaLabel = `Row ${Math.floor(i / columns) + 1}, column ${(i % columns) + 1}: code ${codes[i]}`;
  }

  function choose(i, focus = true) {
    grid.children[chosen]?.removeAttribute("aria-current");
    chosen = i;
    const cell = grid.children[i];
    cell.setAttribute("aria-current", "true");
    for (const other of grid.children) other.tabIndex = other === cell ? 0 : -1;
    if (focus) cell.focus();
    const [, , columns] = ability.port.shape;
    $("codes-place").textContent = `Row ${Math.floor(i / columns) + 1}, column ${(i % columns) + 1}`;
    number.value = codes[i];
  }

  async function put(code) {
    codes[chosen] = BigInt(code);
    paint(chosen);
    number.value = code;
    await redraw();
  }

  /** What each code looks like: the middle of the picture that is this code all over. */
  async function fillPalette() {
    const { port } = ability;
    const buttons = Array.from({ length: port.maximum + 1 }, (_, code) =>
      element("button", {
        type: "button",
        ariaLabel: `Code ${code}`,
        title: `${code}`,
        onclick: () => app.try(() => put(code)),
      }),
    );
    palette.replaceChildren(...buttons);
    for (let code = 0; code < buttons.length; code += CHUNK) {
      const some = buttons.slice(code, code + CHUNK);
      const images = await decode(
        BigInt64Array.from(some.flatMap((_, i) => Array(codes.length).fill(BigInt(code + i)))),
        some.length,
      );
      some.forEach((button, i) => button.append(canvasOf(middleOf(images.at(i)))));
    }
  }

  async function fromSeed() {
    const { seed } = controls.values;
    const { images } = await app.run("sample", { seed, count: 1 });
    await fromPicture(imagesOf(images), `Picture 0 of seed ${seed}.`);
  }

  async function fromPicture(picture, note) {
    const { graph, input, output } = ability.encoder;
    const outputs = await app.run(graph, { [input]: imageTensor(picture) });
    await take(outputs[output].data, `${note} Choose a code and put another in its place.`);
  }

  const fromImage = async (file) =>
    fromPicture(await readImage(file, app.model.card.image), `${file.name || "The image"}.`);

  $("codes-form").addEventListener("submit", (event) => {
    event.preventDefault();
    app.try(fromSeed);
  });
  onFile($("codes-image").querySelector("input"), (file) => app.try(() => fromImage(file)));
  number.addEventListener("change", () =>
    app.try(() => (number.checkValidity() ? put(Number(number.value)) : (number.value = codes[chosen]))),
  );
  grid.addEventListener("keydown", (event) => {
    const columns = ability.port.shape[2];
    const to = chosen + ({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key] ?? 0);
    if (to === chosen || to < 0 || to >= codes.length) return;
    event.preventDefault();
    choose(to);
  });

  const takeGift = ({ seed, index, picture, file }) =>
    file ? fromImage(file) : fromPicture(picture, `Picture ${index} of seed ${seed}.`);

  return {
    async show(_, able, gift) {
      ability = able;
      number.max = able.port.maximum;
      const draws = able.encoder && app.can.draw;
      controls = new Controls($("codes-from"), "codes-field", draws ? [SEED] : [], { seed: "7" });
      $("codes-go").hidden = !draws;
      $("codes-image").hidden = !able.encoder;
      if (gift) await takeGift(gift);
      else if (draws) await fromSeed();
      else await take(new Array(able.port.shape[1] * able.port.shape[2]).fill(0n), "Code 0 everywhere.");
      await fillPalette();
    },
    take: takeGift,
  };
}
