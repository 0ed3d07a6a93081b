"""The one training loop: players in turn, AdamW, warm-up and cosine decay, clipped gradients, averaged weights.

The batch and the noise of a step are functions of (seed, step), so a resumed run repeats the run that was
never stopped: bit for bit on the CPU.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gen_export.data.batches import batch_indices
from gen_export.data.image_set import ImageSet
from gen_export.errors import RunStoppedError, TrainingError
from gen_export.models.family import Batch, Family, Player
from gen_export.spec.pixels import from_bytes
from gen_export.training import checkpoint
from gen_export.training.checkpoint import Record
from gen_export.training.device import compiled, memory_layout, pick_precision
from gen_export.training.log import Log
from gen_export.training.meter import Meter
from gen_export.training.preview import rebuilt_picture, sample_picture
from gen_export.training.progress import TrainProgress
from gen_export.training.settings import TrainSettings
from gen_export.training.signals import stop_requests
from gen_export.training.state import TrainState, step_seed
from gen_runtime.images import save_png

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
    """

    def __init__(
        self, record: Record, images: ImageSet, held_out: ImageSet, folder: Path, device: torch.device
    ) -> None:
        self.record, self.images, self.held_out, self.folder = record, images, held_out, folder
        self.settings: TrainSettings = record.settings
        self.device = device
        self.state = TrainState(record.build(), self.settings, device)
        self.precision = pick_precision(self.settings.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == torch.float16)
        self.rng = torch.Generator(device)
        self.losses = {
            player.name: compiled(player.losses, device) if self.settings.compile else player.losses
            for player in self.state.players
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back the tensors that the record's checkpoint holds."""
        self.state.restore(tensors, self.record.step)
        if self.record.scaler:
            self.scaler.load_state_dict(self.record.scaler)

    def run(self) -> Record:
        """Train to the last step; return the final record.

        Raises:
            TrainingError: The loss is not a number, or the device's memory is too small.
            RunStoppedError: Ctrl-C or a request to terminate; the checkpoint holds the last finished step.
        """
        try:
            return self._train()
        except (torch.OutOfMemoryError, MemoryError) as error:
            size = self.settings.batch_size
            raise TrainingError(f"--batch-size {size}: does not fit the memory of {self.device}; try less") from error

    def _train(self) -> Record:
        """Step, report, save and preview in turn."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log, settings = Log(self.folder, self.state.step), self.settings
        with (
            TrainProgress(self.record.family, settings.steps, self.state.step) as progress,
            stop_requests() as stop,
        ):
            if self.state.step == 0:  # what the run starts from
                log.write(0, held_out=self._held_out_losses(self.state.averaged()))
            meter = Meter(self.state.step, settings.batch_size)
            for batch in self._batches():
                meter.add(self._step(batch))
                step, last = self.state.step, self.state.step == settings.steps
                stopping = stop.is_set()  # once a step: a request during what follows waits for the next one
                saving = last or stopping or step % settings.save_every == 0
                if saving or step % LOG_EVERY == 0 or step % settings.preview_every == 0:
                    self._report(meter, log, progress)
                if saving:
                    self._save()
                if last or step % settings.preview_every == 0:
                    self._preview(log, progress)
                if last:
                    self._save()
                if stopping and not last:
                    raise RunStoppedError(f"{self.folder}: stopped after step {step}, saved; go on with --resume")
        return self.record

    def _batches(self) -> Iterator[Batch]:
        """The batches from the next step on, each read while the one before it trains."""
        settings = self.settings

        def read(step: int) -> tuple[np.ndarray, np.ndarray]:
            indices = batch_indices(len(self.images), settings.batch_size, settings.seed, step)
            return indices, self.images.images(indices)

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, self.state.step)
            for step in range(self.state.step, settings.steps):
                indices, pixels = ahead.result()
                if step + 1 < settings.steps:
                    ahead = reader.submit(read, step + 1)
                yield self._batch(self.images, indices, pixels)

    def _batch(self, source: ImageSet, indices: np.ndarray, pixels: np.ndarray) -> Batch:
        """The images of a set at these indices, and their labels, on the device."""
        labels = None if source.labels is None else torch.from_numpy(source.labels[indices]).to(self.device)
        return Batch(self._to_device(pixels), labels)

    def _to_device(self, pixels: np.ndarray) -> Tensor:
        """uint8 (B, H, W, C) as floats (B, C, H, W) in [-1, 1]."""
        planes = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        return from_bytes(planes).contiguous(memory_format=memory_layout(self.device))

    def _step(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """One turn of every player; their losses and the largest norm of their gradients, still on the device."""
        state, settings = self.state, self.settings
        self.rng.manual_seed(step_seed(settings.seed, state.step))
        losses: dict[str, Tensor] = {}
        norms = []
        for player in state.players:
            span = settings.span(player.begin, player.end)
            if state.step in span:
                found, norm = self._turn(player, batch, settings.lr_at(state.step, span))
                losses |= found
                norms.append(norm)
        self.scaler.update()
        state.ema.update_parameters(state.model)
        state.step += 1
        return losses, torch.stack(norms).max()

    def _turn(self, player: Player, batch: Batch, lr: float) -> tuple[dict[str, Tensor], Tensor]:
        """One optimiser step of a player; its losses and the norm of its gradient."""
        state, optimizer = self.state, self.state.optimizers[player.name]
        optimizer.param_groups[0]["lr"] = lr
        with state.turn(player):
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                losses = self.losses[player.name](batch, self.rng)
            self.scaler.scale(next(iter(losses.values()))).backward()
        self.scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(player.parameters(), self.settings.clip)
        if self.scaler.is_enabled():
            norm = norm.nan_to_num(0.0, 0.0, 0.0)  # a step that the scaler skips moves nothing
        self.scaler.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
        return {name: value.detach() for name, value in losses.items()}, norm

    def _report(self, meter: Meter, log: Log, progress: TrainProgress) -> None:
        """Write and show the mean losses since the last report; refuse losses that are not numbers."""
        losses, rate, seconds, broken = meter.read()
        if broken is not None:
            saved = self.folder / checkpoint.FILE
            rest = f"the last good checkpoint is {saved}" if saved.exists() else "no checkpoint was saved yet"
            raise TrainingError(f"{broken}; {rest}")
        self.record = replace(self.record, seconds=self.record.seconds + seconds)
        log.write(
            self.state.step,
            **losses,
            lr=self._lr(),
            images_per_second=round(rate, 1),
            seconds=round(self.record.seconds, 1),
        )
        progress.update(self.state.step, next(iter(losses.items())), rate)

    def _lr(self) -> float:
        """Learning rate of the last step: that of the last player who took part."""
        last, settings = self.state.step - 1, self.settings
        spans = [settings.span(player.begin, player.end) for player in self.state.players]
        return settings.lr_at(last, [span for span in spans if last in span][-1])

    def _preview(self, log: Log, progress: TrainProgress) -> None:
        """Write pictures of the averaged model and its losses on held-out images."""
        family, step = self.state.averaged(), self.state.step
        held_out = self._held_out_losses(family)
        self.record = replace(self.record, held_out=held_out)
        log.write(step, held_out=held_out)
        kept = self._to_device(self.held_out.images(np.arange(min(REBUILT_IMAGES, len(self.held_out)))))
        pictures = {
            "samples": sample_picture(family, self.settings.seed, PREVIEW_IMAGES),
            "rebuilt": rebuilt_picture(family, kept),
        }
        paths = [self._show(name, picture) for name, picture in pictures.items() if picture is not None]
        shown = "  ".join(f"{name} {value:.4f}" for name, value in held_out.items())
        progress.say(f"step {step}: held out {shown}  {'  '.join(map(str, paths))}")

    def _show(self, name: str, picture: np.ndarray) -> Path:
        """Write a picture of this step into its folder."""
        path = self.folder / name / f"step-{self.state.step:07d}.png"
        path.parent.mkdir(exist_ok=True)
        save_png(path, picture)
        return path

    @torch.no_grad()
    def _held_out_losses(self, family: Family) -> dict[str, float]:
        """Mean losses of up to 512 held-out images in batches, always with the same noise."""
        count, size = min(HELD_OUT_IMAGES, len(self.held_out)), self.settings.batch_size
        self.rng.manual_seed(step_seed(self.settings.seed, 0))
        sums: dict[str, float] = {}
        for at in range(0, count, size):
            indices = np.arange(at, min(at + size, count))
            batch = self._batch(self.held_out, indices, self.held_out.images(indices))
            for name, value in family.losses(batch, self.rng).items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(indices)
        return {name: total / count for name, total in sums.items()}

    def _save(self) -> None:
        scaler = self.scaler.state_dict() or None
        self.record = replace(self.record, step=self.state.step, scaler=scaler)
        checkpoint.save(self.folder, self.record, self.state.tensors())
