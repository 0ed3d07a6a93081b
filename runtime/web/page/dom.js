/** The element of an id. */
export const $ = (id) => document.getElementById(id);

/** A new element with properties, attributes in `attributes`, and children. */
export function element(tag, { attributes = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Calls back with the first file of an input, which may be chosen again. */
export function onFile(input, chosen) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file) chosen(file);
    input.value = "";
  });
}

/** What ends the work that runs, by the name it runs under. */
const running = new Map();

/**
 * Runs work with a bar, and a Cancel button in the place of the one that began it. Work of the same name ends first.
 *
 * @param {string} name the prefix of the ids `-go`, `-cancel` and `-progress`
 * @param {number} total
 * @param {(signal: AbortSignal, done: (n: number) => void) => Promise<void>} work
 */
export async function withProgress(name, total, work) {
  const [go, cancel, bar] = ["go", "cancel", "progress"].map((part) => $(`${name}-${part}`));
  const controller = new AbortController();
  running.get(name)?.abort();
  running.set(name, controller);
  const hadFocus = document.activeElement === go;
  const stop = () => controller.abort();
  cancel.addEventListener("click", stop);
  Object.assign(bar, { hidden: false, value: 0, max: total });
  [go.hidden, cancel.hidden] = [true, false];
  if (hadFocus) cancel.focus();
  try {
    await work(controller.signal, (done) => (bar.value = done));
  } finally {
    cancel.removeEventListener("click", stop);
    if (running.get(name) === controller) {
      running.delete(name);
      const back = document.activeElement === cancel;
      [go.hidden, cancel.hidden, bar.hidden] = [false, true, true];
      if (back) go.focus();
    }
  }
}
