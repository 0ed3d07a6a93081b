"""The command `finetune`: an exported model learns from new images, without PyTorch."""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from gen_export.cli.run import tell


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(finetune)


def finetune(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file exported with --train-step.")],
    data: Annotated[str, typer.Option(help="Images: a folder, an .npy file, shards, ...; see gen-export data list.")],
    out: Annotated[Path, typer.Option(help="Folder for the new files, and for the state while it runs.")],
    steps: Annotated[int, typer.Option(help="Steps in all.")] = 500,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 32,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Decides the order of the images and all noise.")] = 0,
    image_size: Annotated[int | None, typer.Option(help="Side to resize and crop a folder's images to.")] = None,
    beta: Annotated[float | None, typer.Option(help="Weight of the loss's term, where it has one.")] = None,
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 100,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in the folder.")] = False,
) -> None:
    """Teach an exported model new images, and write its files anew.

    Example: gen-export finetune runs/vae/vae.onnx --data drawings/ --image-size 28 --steps 500 --out tuned
    """
    from gen_export.data import open_data
    from gen_export.finetuning import FinetuneSettings
    from gen_export.finetuning import finetune as run
    from gen_export.training.progress import TrainProgress

    weights = {} if beta is None else {"beta": beta}
    settings = FinetuneSettings(steps, batch_size, lr, seed, save_every, weights)
    images = open_data(data, size=image_size)
    began = perf_counter()
    with TrainProgress("finetune", steps, 0) as progress:

        def watch(step: int, losses: dict[str, float]) -> None:
            nonlocal began
            before, began = began, perf_counter()
            progress.update(step, next(iter(losses.items())), batch_size / (began - before))
            if step % save_every == 0:
                progress.say(f"step {step}: {'  '.join(f'{name} {value:.4f}' for name, value in losses.items())}")

        written = run(file, images, out, settings, resume, watch)
    tell(f"{steps} steps of {batch_size} images", written)
