/** The tab that turns the numbers of a latent, and decodes each turn at once. */
import { Controls, wholePort } from "./controls.js";
import { $, element, onFile } from "./dom.js";
import { latest } from "./engine.js";
import { normals } from "./noise.js";
import { imageTensor, Tensor, tensorImages } from "./gen-runtime/index.js";
import { readImage, show } from "./pictures.js";

const FEW = 10;
const LEAST_SPAN = 3;
const CHUNK = 32;
const PORTS = [wholePort("seed", "whose pictures"), wholePort("picture", "which of them", 0)];

export function latentsView(app) {
  const list = $("latents-sliders");
  let ability = null;
  let controls = null;
  let z = new Float32Array();
  let rows = [];
  let all = false;

  /** What the decoder takes beside a latent, which the graphs before it take as well. */
  function settings() {
    const { seed, picture, ...rest } = controls.values;
    return rest;
  }

  /** The pictures of latents, as they are wanted a chunk at a time. */
  async function* decode(latents) {
    for (let at = 0; at < latents.length; at += CHUNK) {
      const some = latents.slice(at, at + CHUNK);
      const data = Float32Array.from(some.flatMap((one) => [...one]));
      const batch = new Tensor([some.length, z.length], data);
      const outputs = await app.run(ability.graph, { [ability.port.name]: batch, ...settings() });
      const images = tensorImages(outputs[ability.image]);
      for (let i = 0; i < some.length; i++) yield images.at(i);
    }
  }

  const redraw = latest(async () => {
    for await (const picture of decode([z])) show($("latents-picture"), picture);
  });

  /** Shows at the ends of the first sliders where they lead, and puts those that change most first. */
  async function preview(sorted) {
    const shown = sorted ? rows : rows.slice(0, all ? rows.length : FEW);
    const ends = shown.flatMap(({ i, span }) => [-span, span].map((value) => z.with(i, value)));
    const pictures = [];
    for await (const picture of decode(ends)) pictures.push(picture);
    shown.forEach((row, at) => {
      const [low, high] = [pictures[2 * at], pictures[2 * at + 1]];
      row.ends.forEach((canvas, end) => show(canvas, end ? high : low));
      row.effect = low.data.reduce((sum, value, p) => sum + Math.abs(value - high.data[p]), 0);
    });
    if (!sorted) return;
    rows.sort((a, b) => b.effect - a.effect);
    list.replaceChildren(...rows.map(({ item }) => item));
    fold();
  }
  const refresh = latest(() => preview(false));

  function fold() {
    rows.forEach(({ item }, at) => (item.hidden = !all && at >= FEW));
    $("latents-more").hidden = rows.length <= FEW;
    $("latents-more").textContent = all ? `Show the ${FEW} that change most` : `Show all ${rows.length}`;
  }

  function rowFor(i) {
    const span = Math.max(LEAST_SPAN, Math.ceil(Math.abs(z[i])));
    const ends = [0, 1].map(() => element("canvas", { ariaHidden: "true" }));
    const value = element("output", { textContent: z[i].toFixed(2) });
    const input = element("input", {
      type: "range",
      min: -span,
      max: span,
      step: 0.05,
      value: z[i],
      ariaLabel: `Latent ${i}`,
    });
    input.addEventListener("input", () => {
      z = z.with(i, input.value);
      value.textContent = z[i].toFixed(2);
      app.try(redraw);
    });
    input.addEventListener("change", () => app.try(refresh));
    const item = element(
      "li",
      {},
      ends[0],
      element("div", {}, element("span", { textContent: `z${subscript(i)}` }), value, input),
      ends[1],
    );
    return { i, span, ends, item, effect: 0 };
  }

  /** Puts a latent on the sliders. */
  async function take(latent, note) {
    z = latent;
    rows = Array.from(z, (_, i) => rowFor(i));
    list.replaceChildren(...rows.map(({ item }) => item));
    fold();
    $("latents-note").textContent = note;
    await redraw();
    await preview(true);
  }

  async function fromSeed() {
    const { seed, picture } = controls.values;
    await take(
      await priorOf(normals(seed, picture, z.length)),
      `Picture ${picture} of seed ${seed}. The sliders that change most come first.`,
    );
  }

  /** The latent that normal numbers stand for. */
  async function priorOf(numbers) {
    if (!ability.prior) return numbers;
    const { graph, input, output } = ability.prior;
    const outputs = await app.run(graph, { [input]: new Tensor([1, z.length], numbers), ...settings() });
    return Float32Array.from(outputs[output].data);
  }

  async function fromPicture(picture, name) {
    const { graph, input, output } = ability.encoder;
    const outputs = await app.run(graph, { [input]: imageTensor(picture), ...settings() });
    await take(Float32Array.from(outputs[output].data), `What the encoder makes of ${name} (${output}).`);
  }

  const fromImage = async (file) => fromPicture(await readImage(file, app.model.card.image), file.name || "the image");

  /** A first latent: a seed's, or that of a picture which another model draws, or the middle. */
  async function begin() {
    const [lender] = ability.encoder ? app.lenders : [];
    if (ability.noise) await fromSeed();
    else if (lender) await fromPicture(await app.borrow(lender, 7n), `a picture by ${lender.name}`);
    else await take(z, "The middle of the latent space.");
  }

  async function takeGift({ seed, index, file }) {
    if (file) return fromImage(file);
    controls.set("seed", String(seed));
    controls.set("picture", String(index));
    await fromSeed();
  }

  $("latents-form").addEventListener("submit", (event) => {
    event.preventDefault();
    app.try(fromSeed);
  });
  $("latents-zero").onclick = () => app.try(() => take(new Float32Array(z.length), "The middle of the latent space."));
  $("latents-more").onclick = () => {
    all = !all;
    fold();
  };
  onFile($("latents-image").querySelector("input"), (file) => app.try(() => fromImage(file)));

  return {
    async show(_, able, gift) {
      ability = able;
      all = false;
      z = new Float32Array(able.port.shape[1]);
      const ports = [...(able.noise ? PORTS : []), ...able.settings];
      controls = new Controls($("latents-from"), "latents-field", ports, { seed: "7" });
      $("latents-go").hidden = !able.noise;
      $("latents-image").hidden = !able.encoder;
      await (gift ? takeGift(gift) : begin());
    },
    take: takeGift,
  };
}

const subscript = (i) => String(i).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
