"""Write the conformance suite: `python -m tests.golden.make` trains, exports and calls, in a minute or two.

The small files and golden.json in models_onnx/golden are all made here; the machine's arithmetic is in the weights,
so another machine makes a suite of its own, and the same one the same suite but for the seconds of training in the
cards. A seed is kept only when no rounding can change what is exact: no pixel lies near a border between two bytes, no
latent near another code, and the images of the Gaussian data are those of their closed form in float64.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gen_export.spec.guidance import ANY, EACH
from gen_export.spec.solvers import SOLVERS
from gen_export.verify.probe import Probe
from gen_runtime import Model, load
from tests.export.analytic import seeded_noise
from tests.golden import files
from tests.golden.cases import Case, all_cases
from tests.golden.suite import FOLDER, Value, read, whole, written

RULES = {
    "case": "Without an error: call `graph` of the main file `file`.onnx, or of the part that it names, with `inputs` "
    "by name, and compare every output. With `batch`: call the host's `sample` so many images a run. With an error: "
    "loading or calling fails with an error of that kind, whose message holds `says`.",
    "array": "`values` in row-major order. Whole numbers beyond 2^53 are text.",
    "drawn": "With `seed`, `low`, `high`: u_i = floor(splitmix64(seed + i) / 2^40) / 2^24; value i = low + "
    "(high - low) u_i, or of a whole dtype low + floor((high - low + 1) u_i).",
    "choice": "The name of a choice, given as text.",
    "equal": "Dtype and shape are the same. Whole numbers and bytes are the same; floats are at most `tolerance` "
    "max(1, |expected|) apart, and without a tolerance the same bits.",
    "wasm": "ONNX Runtime in WebAssembly may be 1 grey level apart in at most 0.1 % of an image's bytes.",
}
NEAREST = 2e-4
"""Grey levels between a pixel and a border between two bytes, at least: ten times what float32 rounding moves it."""
MARGIN = 1e-4
"""How far a latent must lie from another code, at least."""
TRIES = 50


def main() -> None:
    """Write files and cases."""
    for old in filter(Path.is_file, FOLDER.rglob("*.onnx")):
        old.unlink()
    files.write_analytic(FOLDER)
    files.write_echo(FOLDER)
    files.write_broken(FOLDER / "broken")
    files.write_trained(FOLDER)
    write_cases()


def write_cases() -> None:
    """Write golden.json beside the files."""
    models = {case.file: load(FOLDER / f"{case.file}.onnx", "cpu", 1) for case in all_cases() if case.error is None}
    cases = [_entry(case, models.get(case.file)) for case in all_cases()]
    cards = [_card(file, model) for file, model in models.items()]
    lines = [json.dumps(RULES, indent=1), _rows(cards), _rows(cases)]
    text = '{{"version": 1,\n"rules": {},\n"models": {},\n"cases": {}}}\n'.format(*lines)
    (FOLDER / "golden.json").write_text(text, encoding="utf-8")


def _rows(entries: list[dict[str, Any]]) -> str:
    """A list with one entry a line."""
    return "[\n" + ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries) + "\n]"


def _card(file: str, model: Model) -> dict[str, Any]:
    """What a host says of a file."""
    image = model.card.image
    size = {"height": image.height, "width": image.width, "channels": image.channels}
    return {"file": file, "family": model.card.family, "image": size, "graphs": list(model.graphs)}


def _entry(case: Case, model: Model | None) -> dict[str, Any]:
    """The case as golden.json holds it."""
    fields = ("name", "file", "graph", "batch", "tolerance", "error", "says")
    entry: dict[str, Any] = {name: getattr(case, name) for name in fields if getattr(case, name) is not None}
    entry["inputs"] = dict(case.inputs)
    if case.error is not None or model is None or case.graph is None:
        return entry
    for shift in range(TRIES):
        inputs = _shifted(case.inputs, shift)
        outputs = _firm_outputs(case, case.graph, inputs, model)
        if outputs is not None:
            return entry | {"inputs": inputs, "outputs": {name: written(output) for name, output in outputs.items()}}
    raise ValueError(f"{case.name}: expected a seed whose outputs no rounding can change, found none in {TRIES}")


def _shifted(inputs: Mapping[str, Value], shift: int) -> dict[str, Value]:
    """The inputs with another seed, nearer to 0, and other drawn values."""
    changed = {}
    for name, value in inputs.items():
        if name == "seed":
            seed = int(read(value))
            value = whole(seed - shift if seed > 0 else seed + shift)
        changed[name] = value | {"seed": value["seed"] + 1000 * shift} if "seed" in value else value
    return changed


def _firm_outputs(case: Case, graph: str, inputs: Mapping[str, Value], model: Model) -> dict[str, np.ndarray] | None:
    """What the call gives; None where another processor could round a value to another byte or code."""
    values = {name: read(value) for name, value in inputs.items()}
    opened = model.graph(graph)
    outputs = opened.execute(opened.check(values))
    if "images" in outputs and _nearest_border(opened.path, values) < NEAREST:
        return None
    if "encoded" in outputs and model.graph("quantize").run({"encoded": outputs["encoded"]})["margin"].min() < MARGIN:
        return None
    if case.file in CLOSED and graph == "sample" and not np.array_equal(outputs["images"], CLOSED[case.file](values)):
        return None
    return outputs


def _nearest_border(path: Path, values: Mapping[str, Any]) -> float:
    """Grey levels between the images' values and the nearest border between two bytes."""
    pixels = Probe(path).run(values, inner=("pixels",))["pixels"].astype(np.float64)
    level = (np.clip(pixels, -1, 1) + 1.0) * 127.5
    return float(np.abs(level - np.floor(level) - 0.5).min())


def _gaussian(given: Mapping[str, Any]) -> np.ndarray:
    """The images that the Gaussian file should draw, by float64."""
    seed, indices = _drawn(given)
    noise = seeded_noise(seed, indices, files.GAUSSIAN.mean.shape)
    solver = given.get("solver", "ddim")
    solver = solver if isinstance(solver, str) else list(SOLVERS)[int(solver)]
    return files.GAUSSIAN.images(noise, int(given.get("steps", 8)), float(given.get("eta", 0.0)), solver)


def _classed(given: Mapping[str, Any]) -> np.ndarray:
    """The same of the file with classes."""
    label = given.get("label", "each")
    names = (*files.CLASSED.classes, ANY, EACH)
    label = names.index(label) if isinstance(label, str) else int(label)
    return files.CLASSED.images(*_drawn(given), label, float(given.get("guidance", 1.0)), 8)


def _drawn(given: Mapping[str, Any]) -> tuple[int, range]:
    """The seed and the numbers of the samples."""
    seed, count, first = (int(given.get(name, 0)) for name in ("seed", "count", "first"))
    return seed, range(first, first + count)


CLOSED = {"gaussian": _gaussian, "classed": _classed}
"""Files whose images are known."""

if __name__ == "__main__":
    main()
