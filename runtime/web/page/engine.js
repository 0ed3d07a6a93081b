/** The worker, called like an object of this side. */
export class Engine {
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #calls = new Map();
  #last = 0;
  #onBusy;

  /** @param {(isBusy: boolean) => void} onBusy called when the first of several calls begins, and when the last ends */
  constructor(onBusy) {
    this.#onBusy = onBusy;
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => this.#failAll(event);
  }

  /**
   * Calls a method of the worker.
   *
   * @param {string} method
   * @param {object} args what structured clone can carry
   * @param {{ part?: (part: any) => void, signal?: AbortSignal }} [options]
   */
  call(method, args, { part, signal } = {}) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const end = (settle) => (value) => {
        signal?.removeEventListener("abort", abort);
        this.#calls.delete(id);
        this.#onBusy(this.#calls.size > 0);
        settle(value);
      };
      const call = { part, resolve: end(resolve), reject: end(reject) };
      const abort = () => {
        this.#worker.postMessage({ id, method: "cancel" });
        call.reject(signal.reason);
      };
      signal?.addEventListener("abort", abort);
      this.#calls.set(id, call);
      this.#onBusy(true);
      this.#worker.postMessage({ id, method, args });
    });
  }

  #hear({ id, part, result, error }) {
    const call = this.#calls.get(id);
    if (!call) return;
    if (part) return call.part?.(part);
    if (error) call.reject(Object.assign(new Error(error.message), { name: error.name }));
    else call.resolve(result);
  }

  #failAll(event) {
    const error = new Error(event.message || "the worker that runs the models cannot start");
    for (const call of this.#calls.values()) call.reject(error);
  }
}

/** Calls `work` with the latest arguments only: those that came while it was busy, but the last, are dropped. */
export function latest(work) {
  let waiting = null;
  let busy = false;
  return async (...args) => {
    waiting = args;
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await work(...now);
      }
    } finally {
      busy = false;
    }
  };
}
