/** The page for whoever looks at it: keys alone, a phone, the dark, little motion, files of one's own, a plain web server. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
  BUILD,
  GOLDEN,
  idle,
  onGoldenPage,
  pixels,
  requireClose,
  run,
  says,
  servePlain,
  SUITE,
  until,
  visit,
} from "./setup.js";

const TABS = {
  vae: ["latents", "between", "rebuild", "card", "draw"],
  vqvae: ["codes", "draw"],
  diffusion: ["draw", "between"],
  mae: ["rebuild"],
};
const SEED_7 = SUITE.cases.find(({ name }) => name === "vae draws from a seed near 7").outputs.images.values;

const PHONE = { viewport: { width: 360, height: 740 }, colorScheme: "dark", hasTouch: true, isMobile: true };

const focused = (page) => page.evaluate("document.activeElement.id || document.activeElement.ariaLabel");

/** Presses Tab until an element has the focus. */
async function tabTo(page, name) {
  for (let presses = 0; presses < 60; presses++) {
    if ((await focused(page)) === name) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${name} cannot be reached by Tab`);
}

/** What reaches beyond the page's right edge, but for what scrolls by itself; runs in the page. */
function tooWide() {
  const edge = Math.min(document.documentElement.clientWidth, innerWidth);
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility() && !one.closest("[role=tablist], .scroll"))
    .filter((one) => one.getBoundingClientRect().right > edge + 1)
    .map((one) => one.outerHTML.slice(0, 80));
}

/** What can be used or looked at and has no name; runs in the page. */
function nameless() {
  return [...document.querySelectorAll("button, input, select, canvas[role=img]")]
    .filter((one) => one.checkVisibility() && one.ariaHidden !== "true")
    .filter((one) => !(one.textContent.trim() || one.ariaLabel || one.labels?.[0]?.textContent.trim()))
    .map((one) => one.outerHTML);
}

describe("the page", () => {
  const site = onGoldenPage({ before, after });

  test("can be used by keys alone", () =>
    visit(site, { model: "vae", count: 3 }, async (page) => {
      await says(page, /3 pictures of seed 7/);
      await tabTo(page, "draw-field-seed");
      await page.keyboard.press("Control+A");
      await page.keyboard.type("-3");
      await page.keyboard.press("Enter");
      await says(page, /3 pictures of seed -3/);
      await tabTo(page, "Picture 1: enlarge");
      await page.keyboard.press("Enter");
      await page.keyboard.press("ArrowRight");
      assert.equal(await page.textContent("#viewer-title"), "Picture 2 of seed -3");
      await page.keyboard.press("Escape");
      assert.equal(await page.isVisible("#viewer"), false);
      assert.equal(await focused(page), "Picture 1: enlarge");
      await page.focus("#model");
      await tabTo(page, "tab-draw");
      await page.keyboard.press("ArrowRight");
      assert.equal(await focused(page), "tab-latents");
      await page.waitForSelector("#latents-sliders canvas[width='8']");
      const turned = await pixels(page, "#latents-picture", 1);
      await tabTo(page, await page.getAttribute("#latents-sliders input", "aria-label"));
      await page.keyboard.press("End");
      assert.notDeepEqual(await pixels(page, "#latents-picture", 1), turned);
    }));

  test("moves among codes by the arrow keys", () =>
    visit(site, { model: "vqvae", tab: "codes" }, async (page) => {
      await page.waitForSelector("#codes-grid button");
      await page.focus("#codes-grid button");
      for (const key of ["ArrowRight", "ArrowDown", "ArrowUp", "ArrowUp", "ArrowDown"]) await page.keyboard.press(key);
      assert.match(await focused(page), /^Row 2, column 2: code \d+$/);
    }));

  for (const [model, tabs] of Object.entries(TABS)) {
    test(`fits on a phone, and names every field and button: ${model}`, () =>
      visit(
        site,
        { model, count: 4 },
        async (page) => {
          for (const tab of tabs) {
            await page.tap(`#tab-${tab}`);
            await idle(page);
            assert.deepEqual(await page.evaluate(tooWide), [], tab);
            assert.deepEqual(await page.evaluate(nameless), [], tab);
            await page.screenshot({ path: join(BUILD, `phone-${model}-${tab}.png`) });
          }
        },
        PHONE,
      ));
  }

  for (const colorScheme of ["light", "dark"]) {
    test(`has text that stands out from the ${colorScheme}`, () =>
      visit(
        site,
        { model: "vae", count: 2 },
        async (page) => {
          await says(page, /2 pictures/);
          const contrasts = await page.evaluate(() => {
            const luminance = (colour) => {
              const [r, g, b] = colour.match(/[\d.]+/g).map((value) => {
                const c = value / 255;
                return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
              });
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const behind = (one) => {
              for (; one; one = one.parentElement) {
                const { backgroundColor } = getComputedStyle(one);
                if (!/, 0\)$/.test(backgroundColor)) return backgroundColor;
              }
            };
            return [...document.querySelectorAll("h1, label, small, .quiet, button, #status")]
              .filter((one) => one.checkVisibility() && one.textContent.trim())
              .map((one) => {
                const [a, b] = [getComputedStyle(one).color, behind(one)].map(luminance).sort((x, y) => y - x);
                return { text: one.textContent, contrast: (a + 0.05) / (b + 0.05) };
              });
          });
          assert.ok(contrasts.length > 10);
          for (const { text, contrast } of contrasts)
            assert.ok(contrast >= 4.5, `${text}: ${contrast.toFixed(1)} to 1`); // WCAG 2.2, 1.4.3
          await page.screenshot({ path: join(BUILD, `desktop-${colorScheme}.png`) });
        },
        { colorScheme },
      ));
  }

  test("keeps still for those who ask for it", () =>
    visit(
      site,
      { model: "vae", count: 2 },
      async (page) => {
        await says(page, /2 pictures/);
        assert.equal(await page.evaluate("document.getAnimations().length"), 0);
        assert.equal(await page.$eval("#draw-grid li", (item) => getComputedStyle(item).animationName), "none");
      },
      { reducedMotion: "reduce" },
    ));

  test("follows who changes the model before the last one is there", () =>
    visit(site, { model: "gan", count: 4 }, async (page) => {
      await page.evaluate(() => {
        const picker = document.querySelector("#model");
        for (const name of ["vqvae", "diffusion", "autoencoder", "vae"]) {
          picker.value = name;
          picker.dispatchEvent(new Event("change"));
        }
      });
      await says(page, /16 pictures of seed 7/);
      assert.equal(await page.inputValue("#model"), "vae");
      requireClose((await pixels(page, "#draw-grid canvas", 1)).slice(0, 192), SEED_7);
    }));

  test("opens a model of one's own, with its parts", () =>
    visit(site, { model: "gan" }, async (page) => {
      await says(page, /16 pictures/);
      await page.setInputFiles(
        "#files",
        ["vae.onnx", "vae.decode.onnx", "vae.encode.onnx"].map((file) => join(GOLDEN, file)),
      );
      await says(page, /16 pictures of seed 7/);
      await until(page, () => document.querySelectorAll("#tabs button").length === 3);
      assert.deepEqual(await page.$$eval("#tabs button", (tabs) => tabs.map((tab) => tab.textContent)), [
        "Draw",
        "Latents",
        "Card",
      ]);
      await until(page, () => document.querySelectorAll("#draw-grid canvas").length === 16);
      requireClose((await pixels(page, "#draw-grid canvas", 1)).slice(0, 192), SEED_7);
    }));

  test("runs on one thread from any web server, out of the folder that --static writes", async () => {
    const folder = await mkdtemp(join(BUILD, "static-"));
    await run(["web", GOLDEN, "--static", join(folder, "site"), "--onnxruntime-web", BUILD]);
    const server = await servePlain({ "/some/where/": join(folder, "site") });
    try {
      const plain = { browser: site.browser, server: { url: `${server.url}some/where/` } };
      await visit(plain, { model: "vae", seed: 7, count: 3 }, async (page) => {
        await says(page, /3 pictures of seed 7/);
        assert.equal(await page.evaluate("crossOriginIsolated"), false);
        assert.match(await page.textContent("#engine"), /on one thread/);
        requireClose(await pixels(page, "#draw-grid canvas", 1), SEED_7);
      });
    } finally {
      await server.close();
      await rm(folder, { recursive: true });
    }
  });
});
