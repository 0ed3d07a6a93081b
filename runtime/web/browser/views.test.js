/** The other tabs: latents, the way between seeds, codes, rebuilding, and the card. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { onGoldenPage, pixels, requireClose, says, SUITE, until, visit } from "./setup.js";

const imagesOf = (name) => SUITE.cases.find((written) => written.name === name).outputs.images.values;
const SEED_7 = imagesOf("vae draws from a seed near 7");

/** Drops a picture that the browser makes: a disc on black, or bytes that are none. */
async function drop(page, name, broken = false) {
  const transfer = await page.evaluateHandle(
    async ([file, isBroken]) => {
      const canvas = new OffscreenCanvas(90, 60);
      const context = canvas.getContext("2d");
      context.fillRect(0, 0, 90, 60);
      context.fillStyle = "#f80";
      context.arc(45, 30, 20, 0, 7);
      context.fill();
      const data = new DataTransfer();
      const blob = isBroken ? "no picture" : await canvas.convertToBlob();
      data.items.add(new File([blob], file, { type: file.endsWith(".png") ? "image/png" : "" }));
      return data;
    },
    [name, broken],
  );
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

describe("the page", () => {
  const site = onGoldenPage({ before, after });

  test("decodes the latent of a drawn picture to that picture", () =>
    visit(site, { model: "vae", tab: "latents" }, async (page) => {
      await page.waitForSelector("#latents-sliders canvas[width='8']");
      requireClose(await pixels(page, "#latents-picture", 1), SEED_7.slice(0, 64));
      await page.fill("#latents-form input[name='picture']", "2");
      await page.click("#latents-go");
      await says(page, /^Picture 2/, "latents-note");
      requireClose(await pixels(page, "#latents-picture", 1), SEED_7.slice(128));
    }));

  test("decodes each turn of a latent at once, by mouse and by key", () =>
    visit(site, { model: "vae", tab: "latents" }, async (page) => {
      await page.waitForSelector("#latents-sliders canvas[width='8']");
      const slider = page.locator("#latents-sliders input").first();
      const before = await pixels(page, "#latents-picture", 1);
      const value = await slider.inputValue();
      const { x, y, width, height } = await slider.boundingBox();
      await page.mouse.click(x + width * 0.95, y + height / 2);
      assert.notEqual(await slider.inputValue(), value);
      const turned = await pixels(page, "#latents-picture", 1);
      assert.notDeepEqual(turned, before);
      await slider.press("Home");
      assert.notDeepEqual(await pixels(page, "#latents-picture", 1), turned);
    }));

  test("goes from one seed's picture to another's", () =>
    visit(site, { model: "vae", tab: "between", seed_a: 7, seed_b: -3 }, async (page) => {
      await says(page, /17 pictures from seed 7 to seed -3/);
      const strip = await pixels(page, "#between-strip canvas", 1);
      requireClose(strip.slice(0, 64), SEED_7.slice(0, 64));
      requireClose(strip.slice(-64), imagesOf("vae draws from a seed near -3").slice(0, 64));
      await page.focus("#between-slider");
      await page.keyboard.press("Home");
      assert.deepEqual(await pixels(page, "#between-picture", 1), strip.slice(0, 64));
    }));

  test("goes between the seeds of a diffusion model by its own steps and solver", () => {
    const hash = { model: "diffusion", tab: "between", seed_a: 5, seed_b: 6, steps: 10, solver: "heun" };
    return visit(site, hash, async (page) => {
      await says(page, /17 pictures from seed 5/);
      const strip = await pixels(page, "#between-strip canvas", 1);
      requireClose(strip.slice(0, 64), imagesOf("diffusion in 10 steps of heun").slice(0, 64));
    });
  });

  test("shows a picture's codes and decodes each change of one", () =>
    visit(site, { model: "vqvae", tab: "codes" }, async (page) => {
      await page.waitForSelector("#codes-palette button:nth-child(16) canvas");
      const codes = () => page.$$eval("#codes-grid button", (cells) => cells.map((cell) => Number(cell.textContent)));
      const [first, picture] = [await codes(), await pixels(page, "#codes-picture", 1)];
      assert.equal(first.length, 16);
      await page.click("#codes-grid button:nth-child(6)");
      await page.click(`#codes-palette button:nth-child(${((first[5] + 8) % 16) + 1})`);
      assert.equal((await codes())[5], (first[5] + 8) % 16);
      assert.notDeepEqual(await pixels(page, "#codes-picture", 1), picture);
      await page.fill("#codes-edit input", String(first[5]));
      await page.press("#codes-edit input", "Enter");
      assert.deepEqual(await codes(), first);
      assert.deepEqual(await pixels(page, "#codes-picture", 1), picture);
    }));

  for (const model of ["autoencoder", "vae", "vqvae", "mae"]) {
    test(`rebuilds an image that is dropped, with ${model}`, () =>
      visit(site, { model, tab: "rebuild" }, async (page) => {
        await says(page, /Rebuilt/);
        const drawn = await pixels(page, "#rebuild-pictures li:first-child canvas", 1);
        await page.evaluate("document.querySelector('#rebuild-pictures').replaceChildren()");
        await drop(page, "disc.png");
        await page.waitForSelector("#rebuild-pictures li:nth-child(3)");
        const [image, result] = [
          await pixels(page, "#rebuild-pictures li:first-child canvas", 1),
          await pixels(page, "#rebuild-pictures li:nth-last-child(2) canvas", 1),
        ];
        assert.notDeepEqual(image, drawn);
        const square = image.reduce((sum, value, at) => sum + (value - result[at]) ** 2, 0) / image.length;
        assert.match(
          await page.textContent("#rebuild-errors"),
          new RegExp(`^${Math.sqrt(square).toFixed(1).replace(".", "\\.")} of 255`),
        );
        assert.ok(Math.max(...image) > 100 && image[0] === 0, "the disc is in the picture's middle");
      }));
  }

  test("hides the patches that the command hides, and none of them at ratio 0", () =>
    visit(site, { model: "mae", tab: "rebuild" }, async (page) => {
      const KNOWN = [0, 2, 3]; // gen-export reconstruct --mask-ratio 0.75 --seed 3, of 4 patches
      await says(page, /Rebuilt/);
      await page.fill("#rebuild-field-seed", "3");
      const masked = await pixels(page, "#rebuild-pictures li:nth-child(2) canvas", 1);
      const corners = [0, 4, 8 * 4, 8 * 4 + 4].map((at) => masked[at]);
      assert.deepEqual(
        corners.flatMap((value, patch) => (value === 128 ? [patch] : [])),
        KNOWN,
      );
      await page.fill("#rebuild-field-ratio", "0");
      await says(page, /^0[.]0 /, "rebuild-errors");
    }));

  test("takes a drawn picture on to its latent, its codes, and its reconstruction", async () => {
    await visit(site, { model: "vae", seed: 7, count: 3 }, async (page) => {
      await says(page, /3 pictures/);
      await page.click("#draw-grid li:nth-child(2) button");
      await page.click("#viewer-latents");
      await says(page, /^Picture 1 of seed 7/, "latents-note");
      requireClose(await pixels(page, "#latents-picture", 1), SEED_7.slice(64, 128));
    });
    await visit(site, { model: "vqvae", seed: 6, count: 2 }, async (page) => {
      await says(page, /2 pictures/);
      await page.click("#draw-grid li:nth-child(2) button");
      await page.click("#viewer-codes");
      await says(page, /^Picture 1 of seed 6/, "codes-note");
      await page.click("#tab-draw");
      await page.click("#draw-grid li:nth-child(1) button");
      await page.click("#viewer-rebuild");
      await says(page, /Rebuilt/);
    });
  });

  test("shows what the file says of itself", () =>
    visit(site, { model: "diffusion", tab: "card" }, async (page) => {
      const card = await page.textContent("#card");
      for (const words of ["Images from a seed", "torchlean", "log_likelihood", "ddim, ddpm, euler, heun"])
        assert.ok(card.includes(words), words);
    }));

  test("says in one line what is wrong with a file, and goes on", () =>
    visit(site, { model: "vae", tab: "rebuild" }, async (page) => {
      await says(page, /Rebuilt/);
      for (const [name, words] of [
        ["broken.png", "broken.png: expected an image"],
        ["broken.onnx", "broken.onnx: ONNX Runtime cannot load it"],
        ["notes.txt", "expected .onnx files or an image, found notes.txt"],
      ]) {
        await drop(page, name, true);
        await until(page, (text) => document.querySelector("#error:not([hidden])")?.textContent.includes(text), words);
        assert.ok(!(await page.textContent("#error")).includes("\n"));
      }
      await page.selectOption("#model", "gan");
      await says(page, /16 pictures of seed 7/);
      assert.equal(await page.isHidden("#error"), true);
    }));
});
