/**
 * Takes the pictures of docs/: the page with trained models.
 *
 *     BUILD=.. CHROMIUM=.. GEN_EXPORT=.. node pictures.js MODELS OUT
 *
 * MODELS has the folders diffusion-fashion, vae-fashion, gan-sprites and vqvae-sprites; BUILD is the folder that check.sh filled.
 */
import { join } from "node:path";

import { idle, openPage, serveModels, startBrowser } from "./setup.js";

const [models, out] = process.argv.slice(2);
const PHONE = {
  viewport: { width: 390, height: 780 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
  colorScheme: "dark",
};
const DESKTOP = { viewport: { width: 1240, height: 800 }, colorScheme: "light" };
const CLOTHES = { model: "diffusion-fashion/diffusion", seed: 11, steps: 20, solver: "dpmpp_2m" };
const SPRITES = { model: "gan-sprites/gan", seed: 7, count: 36 };

const [browser, server] = await Promise.all([startBrowser(), serveModels(models)]);

/** A picture of the page at an address, after something was done there. */
async function take(name, hash, options, act = async () => {}) {
  const page = await openPage(browser, options);
  await page.goto(`${server.url}#${new URLSearchParams(hash)}`);
  await page.waitForSelector("#tabs button");
  await idle(page);
  await act(page);
  await idle(page);
  await page.waitForTimeout(500); // what moves has come to rest
  await page.screenshot({ path: join(out, `web-${name}.png`) });
  await page.context().close();
}

/** Goes on with one of the drawn pictures in a tab of another model, as if it were a file. */
async function encodeDrawn(page, nth, model, tab) {
  const file = await page.$eval(`#draw-grid li:nth-child(${nth}) canvas`, (canvas) => canvas.toDataURL().split(",")[1]);
  await page.selectOption("#model", model);
  await page.click(`#tab-${tab}`);
  await idle(page);
  await page.setInputFiles(`#${tab}-image input`, {
    name: "drawn.png",
    mimeType: "image/png",
    buffer: Buffer.from(file, "base64"),
  });
  await idle(page);
}

await take("draw", CLOTHES, DESKTOP);
await take("phone", { ...SPRITES, count: 20 }, PHONE);
await take("latents", { ...CLOTHES, count: 2 }, DESKTOP, (page) => encodeDrawn(page, 2, "vae-fashion/vae", "latents"));
await take("codes", SPRITES, DESKTOP, async (page) => {
  await encodeDrawn(page, 16, "vqvae-sprites/vqvae", "codes");
  await page.click("#codes-grid button:nth-child(29)");
});
await Promise.all([browser.close(), server.close()]);
