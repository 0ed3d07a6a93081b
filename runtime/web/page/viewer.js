/** One picture of a row, large, in a dialog: the arrow keys go on, and it can be saved or taken to another tab. */
import { $ } from "./dom.js";
import { save, show } from "./pictures.js";

export class Viewer {
  #app;
  #row = { pictures: [], seed: 0n, first: 0n };
  #at = 0;

  constructor(app) {
    this.#app = app;
    $("viewer-save").onclick = () =>
      save(this.#row.pictures[this.#at], `${app.model.card.family}-seed-${this.#row.seed}-${this.#index}.png`);
    $("viewer-back").onclick = () => this.#step(-1);
    $("viewer-on").onclick = () => this.#step(1);
    $("viewer-close").onclick = () => $("viewer").close();
    for (const tab of ["latents", "codes", "rebuild"]) $(`viewer-${tab}`).onclick = () => this.#bring(tab);
    $("viewer").addEventListener("keydown", ({ key }) => this.#step({ ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0));
    $("viewer").addEventListener("click", ({ target }) => target === $("viewer") && $("viewer").close());
  }

  /** Shows picture `at` of those drawn from a seed, beginning with its image `first`. */
  open(pictures, at, { seed, first }) {
    this.#row = { pictures, seed, first };
    this.#at = at;
    const { latents, codes, rebuild } = this.#app.can;
    $("viewer-latents").hidden = !latents?.noise;
    $("viewer-codes").hidden = !codes?.encoder;
    $("viewer-rebuild").hidden = !rebuild;
    this.#step(0);
    $("viewer").showModal();
  }

  get #index() {
    return this.#row.first + BigInt(this.#at);
  }

  #step(by) {
    const { pictures, seed } = this.#row;
    this.#at = (this.#at + by + pictures.length) % pictures.length;
    show($("viewer-picture"), pictures[this.#at]);
    const name = `Picture ${this.#index} of seed ${seed}`;
    $("viewer-picture").setAttribute("aria-label", name);
    $("viewer-title").textContent = name;
  }

  #bring(tab) {
    $("viewer").close();
    this.#app.go(tab, { seed: this.#row.seed, index: this.#index, picture: this.#row.pictures[this.#at] });
    $(`tab-${tab}`).focus();
  }
}
