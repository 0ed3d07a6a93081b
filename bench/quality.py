"""How good our models are beside other libraries' after the same CPU time, on the same images, by the same measures.

    pip install -c constraints.txt -e '.[cpu,train,peers]'
    python bench/quality.py vae --data ../shared/data/fashion_mnist --minutes 5
    python bench/quality.py vqvae --data ../shared/data/fashion_mnist --minutes 10
    python bench/quality.py diffusion --data ../shared/data/fashion_mnist --minutes 60 --count 500 --precision bfloat16

The budget is CPU time of training alone, over all threads of the process (`time.process_time`). Ours is
`gen-export train FAMILY` with its defaults: a short run and a longer one say how many steps the budget has, and the run
of that many steps ends its learning rate's schedule with it. What that run took in fact, reading the images, its last
checkpoint and pictures included, is what the peer gets, to the step. bench/peers.py has the peers' settings and why.
Both compute in the same arithmetic, `--precision`, and draw in float32.

Ours draws and rebuilds from the exported file through ONNX Runtime; the peer in torch. Both as bytes, `--count` images
each, compared with the training images by the features of `gen-export eval`. Beside them stand held-out images, the
floor; the error of reconstructions is of held-out images, pixels in [0, 1]. The table is Markdown, and `--out` gets the
run, its files, and 64 images of each as PNG.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import PEERS, Entrant, Task, cpu_seconds, require_peer

from gen_export.cards.markdown import table
from gen_export.data import open_data
from gen_export.evaluation.distances import Estimate
from gen_export.evaluation.features import all_features
from gen_export.evaluation.fidelity import mean_squared_error
from gen_export.evaluation.likelihood import mean_estimate
from gen_export.evaluation.reference import BATCH, Distances, Reference
from gen_export.export.writer import export_family
from gen_export.models import family_class
from gen_export.spec.pixels import pictures, planes
from gen_export.training import run
from gen_export.training.checkpoint import restore_averaged
from gen_export.training.settings import Precision, TrainSettings
from gen_runtime import Model, grid, load, save_png
from gen_runtime.inputs import Array

CPU = torch.device("cpu")
SHORT, LONG = 2, 42
"""Steps of the runs that tell how long a step takes."""
SAMPLER_STEPS = 50
SHOWN = 64
COLUMNS = ("", "parameters", "steps", "CPU minutes", "Frechet", "kernel", "precision", "recall", "reconstruction error")


def train_seconds(family: str, data: str, steps: int, precision: Precision, folder: Path) -> float:
    """CPU seconds of a run of so many steps as `gen-export train` does it, pictures and checkpoints at its end only."""
    often = {"steps": steps, "save_every": steps, "preview_every": steps}
    settings = TrainSettings(**{**family_class(family).defaults, **often}, precision=precision)
    return cpu_seconds(lambda: run.start(family, {}, settings, run.Source(data), folder, CPU))


def steps_within(seconds: float, family: str, data: str, precision: Precision) -> int:
    """How many steps a run of so many CPU seconds has, by what a long run takes more than a short one."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [train_seconds(family, data, steps, precision, Path(folder, str(steps))) for steps in (SHORT, LONG)]
    short, long = runs
    return max(LONG, SHORT + round((LONG - SHORT) * (seconds - short) / (long - short)))


def ours(family: str, data: str, minutes: float, precision: Precision, count: int, folder: Path) -> Entrant:
    """Our model of a family after so many CPU minutes: what its file draws and rebuilds."""
    steps = steps_within(60 * minutes, family, data, precision)
    seconds = train_seconds(family, data, steps, precision, folder)
    record, trained = restore_averaged(folder)
    parameters = sum(parameter.numel() for parameter in trained.parameters())
    model = load(export_family(trained, folder, family, run.about(record))[0], "cpu", 1)
    inputs: dict[str, Any] = {"steps": SAMPLER_STEPS} if family == "diffusion" else {}
    rebuild = (lambda images: rebuilt(model, images)) if "reconstruct" in model.graphs else None
    return Entrant("gen-export", parameters, steps, seconds, model.sample(count, **inputs), rebuild)


def rebuilt(model: Model, images: Array) -> Array:
    """Images through the file's codes and back, uint8 (n, H, W, C) both."""
    found = model.graph("reconstruct").execute({"image": planes(images)})["reconstruction"]
    return pictures(found)


def scored(entrant: Entrant, reference: Reference) -> tuple[Distances, Estimate | None]:
    """How far a model's images are from the training images, and its error on held-out ones."""
    batches = (entrant.images[at : at + BATCH] for at in range(0, len(entrant.images), BATCH))
    distances = reference.compare(all_features(reference.extract, batches, len(entrant.images)))
    if entrant.rebuild is None:
        return distances, None
    pairs = ((images, entrant.rebuild(images)) for images in reference.batches(reference.test, reference.count))
    return distances, mean_estimate(np.concatenate([mean_squared_error(*pair) for pair in pairs]))


def distance_cells(found: Distances) -> Iterator[str]:
    """Distances as cells of the table."""
    yield f"{found.frechet:.3f}"
    yield estimate_cell(found.kernel)
    yield from (f"{share:.3f}" for share in (found.precision, found.recall))


def estimate_cell(estimate: Estimate | None) -> str:
    """An estimate with its standard error; nothing where there is none."""
    return "" if estimate is None else f"{estimate.value:.4f} ± {estimate.error:.4f}"


def row(entrant: Entrant, reference: Reference) -> list[str]:
    """A model's line of the table."""
    distances, error = scored(entrant, reference)
    costs = (f"{entrant.parameters:,}", f"{entrant.steps:,}", f"{entrant.seconds / 60:.2f}")
    return [entrant.name, *costs, *distance_cells(distances), estimate_cell(error)]


def main() -> None:
    """Train ours, then the peer for as long; print a table and write pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=PEERS)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU time of training, each")
    parser.add_argument("--count", type=int, default=2000, help="images that each draws")
    parser.add_argument("--threads", type=int, default=1, help="of training")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of training")
    parser.add_argument("--peer-lr", type=float, help="learning rate of the peer in place of its own")
    parser.add_argument("--out", type=Path, help="a new folder; by default runs/quality-FAMILY")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    out = arguments.out or Path("runs", f"quality-{arguments.family}")
    train, test = (open_data(arguments.data, part) for part in ("train", "test"))
    require_peer(arguments.family, train)
    reference = Reference(train, test, None, arguments.count, 0, lambda label: None)
    mine = ours(arguments.family, arguments.data, arguments.minutes, arguments.precision, arguments.count, out)
    dtype = getattr(torch, arguments.precision)
    task = Task(train, mine.seconds, arguments.count, SAMPLER_STEPS, arguments.peer_lr, dtype)
    entrants = [mine, *PEERS[arguments.family](task)]
    floor = ["held-out images", "", "", "", *distance_cells(reference.floor), ""]
    print(table(COLUMNS, [*(row(entrant, reference) for entrant in entrants), floor]))
    for entrant in entrants:
        save_png(out / f"{entrant.name}.png", grid(entrant.images[:SHOWN]))


if __name__ == "__main__":
    main()
