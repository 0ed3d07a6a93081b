"""The one training loop: players in turn, AdamW, warm-up and cosine decay, clipped gradients, averaged weights.

The batch and the noise of a step are functions of (seed, step), so a resumed run repeats the run that was
never stopped: bit for bit on the CPU.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gen_export.data.batches import batch_indices
from gen_export.data.image_set import ImageSet
from gen_export.errors import RunStoppedError, TrainingError
from gen_export.models.family import Batch, Family
from gen_export.spec.pixels import from_bytes
from gen_export.training import checkpoint
from gen_export.training.checkpoint import Record
from gen_export.training.device import memory_layout
from gen_export.training.meter import Meter
from gen_export.training.outputs import Outputs
from gen_export.training.preview import rebuilt_picture, sample_picture
from gen_export.training.processes import ALONE, Processes
from gen_export.training.settings import TrainSettings
from gen_export.training.signals import stop_requests
from gen_export.training.state import step_seed
from gen_export.training.step import Learner

LOG_EVERY = 20
HELD_OUT_IMAGES = 512
PREVIEW_IMAGES = 36
REBUILT_IMAGES = 12


class Trainer:
    """One run in one folder.

    Args:
        record: What is trained and how; `record.step` and `seconds` count what is done.
        images: The training images.
        held_out: Images kept apart, for the losses in the log.
        folder: Where checkpoint, log and pictures go.
        device: Where to compute.
        tensorboard: Whether to write TensorBoard's event files beside the log.
        processes: Who shares the batches; the first one writes and shows.

    Raises:
        ConfigError: The batch cannot be shared out evenly.
    """

    def __init__(
        self,
        record: Record,
        images: ImageSet,
        held_out: ImageSet,
        folder: Path,
        device: torch.device,
        tensorboard: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        self.record, self.images, self.held_out, self.folder = record, images, held_out, folder
        self.settings: TrainSettings = record.settings
        self.device, self.tensorboard, self.processes = device, tensorboard, processes
        self.learner = Learner(record.build(), self.settings, device, processes)
        self.state = self.learner.state

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back the tensors that the record's checkpoint holds."""
        self.state.restore(tensors, self.record.step)
        if self.record.scaler:
            self.learner.scaler.load_state_dict(self.record.scaler)

    def run(self) -> Record:
        """Train to the last step; return the final record.

        Raises:
            TrainingError: The loss is not a number, the device's memory is too small, or another process has ended.
            RunStoppedError: Ctrl-C or a request to terminate; the checkpoint holds the last finished step.
        """
        try:
            return self._train()
        except (torch.OutOfMemoryError, MemoryError) as error:
            size = self.settings.batch_size
            advice = "try less, or more --accumulate"
            raise TrainingError(f"--batch-size {size}: does not fit the memory of {self.device}; {advice}") from error

    def _train(self) -> Record:
        """Step, report, save and preview in turn."""
        settings = self.settings
        with ExitStack() as stack:
            outputs = self._outputs(stack)
            stop = stack.enter_context(stop_requests())
            if outputs and self.state.step == 0:  # what the run starts from
                outputs.write(0, held_out=self._held_out_losses(self.state.averaged()))
            meter = Meter(self.state.step, settings.batch_size)
            for batch in self.batches():
                meter.add(self.learner.step(batch))
                step, last = self.state.step, self.state.step == settings.steps
                # Once a step: a request during what follows waits for the next one.
                stopping = self.processes.any(stop.is_set())
                saving = last or stopping or step % settings.save_every == 0
                if saving or step % LOG_EVERY == 0 or step % settings.preview_every == 0:
                    self._report(meter, outputs)
                if outputs:
                    self._write(outputs, saving, last)
                if stopping and not last:
                    raise RunStoppedError(f"{self.folder}: stopped after step {step}, saved; go on with --resume")
        return self.record

    def _outputs(self, stack: ExitStack) -> Outputs | None:
        """Where the run shows itself; None in all processes but one."""
        if not self.processes.first:
            return None
        return stack.enter_context(Outputs(self.record, self.folder, self.device, self.tensorboard))

    def _write(self, outputs: Outputs, saving: bool, last: bool) -> None:
        """The checkpoint and the pictures of a step, and after the last ones the checkpoint that knows of them."""
        if saving:
            self._save()
        if last or self.state.step % self.settings.preview_every == 0:
            self._preview(outputs)
        if last:
            self._save()

    def batches(self) -> Iterator[Batch]:
        """This process's shares of the batches from the next step on, each read while the one before it trains."""
        settings = self.settings
        share = settings.batch_size // self.processes.count
        own = slice(self.processes.index * share, (self.processes.index + 1) * share)

        def read(step: int) -> Batch:
            indices = batch_indices(len(self.images), settings.batch_size, settings.seed, step)[own]
            return self._read(self.images, indices)

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, self.state.step)
            for step in range(self.state.step, settings.steps):
                batch = ahead.result()
                if step + 1 < settings.steps:
                    ahead = reader.submit(read, step + 1)
                yield self._to_device(batch)

    def _read(self, source: ImageSet, indices: np.ndarray) -> Batch:
        """The images of a set at these indices, uint8 (B, H, W, C), and their labels, in the host's memory.

        For a GPU they are pinned: it fetches them while it computes, and no step waits for the copy.
        """
        pixels = torch.from_numpy(source.images(indices))
        labels = None if source.labels is None else torch.from_numpy(source.labels[indices])
        if self.device.type == "cuda":
            pixels, labels = pixels.pin_memory(), None if labels is None else labels.pin_memory()
        return Batch(pixels, labels)

    def _to_device(self, batch: Batch) -> Batch:
        """A batch that was read as floats (B, C, H, W) in [-1, 1] on the device, and its labels."""
        planes = batch.images.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float()
        labels = None if batch.labels is None else batch.labels.to(self.device, non_blocking=True)
        return Batch(from_bytes(planes).contiguous(memory_format=memory_layout(self.device)), labels)

    def _report(self, meter: Meter, outputs: Outputs | None) -> None:
        """Write and show the mean losses since the last report; refuse losses that are not numbers."""
        losses, rate, seconds, broken = meter.read()
        if broken is not None:
            saved = self.folder / checkpoint.FILE
            rest = f"the last good checkpoint is {saved}" if saved.exists() else "no checkpoint was saved yet"
            raise TrainingError(f"{broken}; {rest}")
        self.record = replace(self.record, seconds=self.record.seconds + seconds)
        if outputs:
            outputs.losses(self.state.step, losses, self._lr(), rate, self.record.seconds)

    def _lr(self) -> float:
        """Learning rate of the last step: that of the last player who took part."""
        last, settings = self.state.step - 1, self.settings
        spans = [settings.span(player.begin, player.end) for player in self.state.players]
        return settings.lr_at(last, [span for span in spans if last in span][-1])

    def _preview(self, outputs: Outputs) -> None:
        """Write pictures of the averaged model and its losses on held-out images."""
        family = self.state.averaged()
        held_out = self._held_out_losses(family)
        self.record = replace(self.record, held_out=held_out)
        kept = self._to_device(self._read(self.held_out, np.arange(min(REBUILT_IMAGES, len(self.held_out)))))
        pictures = {
            "samples": sample_picture(family, self.settings.seed, PREVIEW_IMAGES),
            "rebuilt": rebuilt_picture(family, kept.images),
        }
        outputs.pictures(self.state.step, pictures, held_out)

    @torch.no_grad()
    def _held_out_losses(self, family: Family) -> dict[str, float]:
        """Mean losses of up to 512 held-out images in batches, always with the same noise."""
        count, size = min(HELD_OUT_IMAGES, len(self.held_out)), self.settings.batch_size
        rng = torch.Generator(self.device).manual_seed(step_seed(self.settings.seed, 0))
        sums: dict[str, float] = {}
        for at in range(0, count, size):
            indices = np.arange(at, min(at + size, count))
            batch = self._to_device(self._read(self.held_out, indices))
            for name, value in family.losses(batch, rng).items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(indices)
        return {name: total / count for name, total in sums.items()}

    def _save(self) -> None:
        scaler = self.learner.scaler.state_dict() or None
        self.record = replace(self.record, step=self.state.step, scaler=scaler)
        checkpoint.save(self.folder, self.record, self.state.tensors())
