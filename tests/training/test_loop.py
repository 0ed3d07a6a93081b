"""The loop: what it writes, when it stops, and that it reads each batch once."""

import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen_export.data import ArraySet, batch_indices, open_data
from gen_export.errors import CheckpointError, ConfigError, DataError, RunStoppedError, TrainingError
from gen_export.models.family import Batch, ImageShape
from gen_export.models.vae import VAE
from gen_export.training import checkpoint, loop, run
from gen_export.training.checkpoint import FILE, Record
from gen_export.training.device import compiled, pick_device, pick_precision
from gen_export.training.log import Log, read_lines
from gen_export.training.loop import Trainer
from gen_export.training.settings import TrainSettings
from gen_export.training.state import step_seed
from gen_export.training.step import Learner

CPU = torch.device("cpu")
NORMAL = {"prior": "normal"}
"""A VAE whose every step lowers the same loss."""


def log_of(folder):
    """The entries of a log; each line must be one JSON object without NaN or Infinity."""

    def refuse(name):
        raise AssertionError(name)

    text = (folder / "log.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def poison(monkeypatch, step, value=float("nan"), gradient_only=False):
    """Makes the loss, or only its gradient, no number at one step."""
    clean = VAE.elbo_losses

    def losses(self, x, rng):
        found = clean(self, x, rng)
        if rng.initial_seed() == step_seed(0, step - 1) and self.training:
            weight = next(self.parameters()).flatten()[0]
            broken = torch.sqrt(weight - weight) if gradient_only else weight * value
            found["loss"] = found["loss"] + broken
        return found

    monkeypatch.setattr(VAE, "elbo_losses", losses)


def test_a_run_leaves_its_checkpoint_log_and_picture_and_nothing_else(train, folder):
    record = train("vae")

    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        FILE,
        "log.jsonl",
        "rebuilt/step-0000012.png",
        "samples/step-0000012.png",
        "sessions.jsonl",
    ]
    assert checkpoint.load(folder)[0] == record
    assert (record.step, record.family) == (12, "vae")
    assert record.seconds > 0
    assert list(record.held_out) == ["loss", "reconstruction", "kl", "prior_loss"]


def test_the_picture_is_a_grid_of_36_images(train, folder):
    """Six by six images of 8 pixels with gaps of 2 between them."""
    train("vae", preview_every=6)

    for step in (6, 12):
        with Image.open(folder / "samples" / f"step-{step:07d}.png") as picture:
            assert picture.size == (6 * 8 + 5 * 2, 6 * 8 + 5 * 2)
            assert picture.mode == "L"


def test_the_log_has_one_object_a_line_with_the_losses_and_the_rate(train, folder):
    train("vae", options=NORMAL)
    entries = log_of(folder)

    assert [entry["step"] for entry in entries] == [0, 4, 8, 12, 12]
    for entry in entries[1:4]:
        assert list(entry) == [
            "step", "loss", "reconstruction", "kl", "grad_norm", "lr", "images_per_second", "seconds",
        ]  # fmt: skip
        assert entry["loss"] == pytest.approx(entry["reconstruction"] + 0.005 * entry["kl"], rel=1e-5)
    assert entries[3]["lr"] == TrainSettings(steps=12, warmup=3).lr_at(11)
    assert all(list(entry) == ["step", "held_out"] for entry in (entries[0], entries[4]))


def test_training_lowers_the_loss(train, folder):
    train("vae", steps=150, lr=3e-3, save_every=50)
    losses = [entry["loss"] for entry in log_of(folder) if "loss" in entry]

    assert losses[-1] < 0.5 * losses[0]


def test_every_entry_is_the_mean_over_the_steps_since_the_one_before(train, tmp_path):
    """One report of twelve steps is the mean of twelve reports of one step."""
    train("vae", tmp_path / "each", NORMAL, save_every=1)
    train("vae", tmp_path / "all", NORMAL, save_every=12)
    each = [entry["loss"] for entry in log_of(tmp_path / "each") if "loss" in entry]
    (together,) = [entry["loss"] for entry in log_of(tmp_path / "all") if "loss" in entry]

    assert len(each) == 12
    assert together == pytest.approx(np.mean(each), rel=1e-12)


def test_the_same_seed_trains_the_same_weights_and_another_seed_others(train, tmp_path):
    tensors = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(folder=tmp_path / name, seed=seed)
        tensors.append(checkpoint.load(tmp_path / name)[1])

    assert all(torch.equal(value, tensors[1][name]) for name, value in tensors[0].items())
    assert not torch.equal(tensors[0]["model.net.stem.weight"], tensors[2]["model.net.stem.weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_with_its_step_and_the_last_good_checkpoint(train, folder, monkeypatch, value):
    poison(monkeypatch, step=7, value=value)
    with pytest.raises(TrainingError, match=r"^step 7: expected finite losses and gradient, found loss") as caught:
        train("vae", options=NORMAL)

    assert str(caught.value).endswith(f"the last good checkpoint is {folder / FILE}")
    saved, tensors = checkpoint.load(folder)
    assert saved.step == 4
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_a_gradient_that_is_no_number_stops_before_it_reaches_a_checkpoint(train, folder, monkeypatch):
    """The loss of step 8 is finite and its gradient is not: the weights saved after step 8 would be NaN."""
    poison(monkeypatch, step=8, gradient_only=True)
    with pytest.raises(TrainingError, match=r"^step 8: expected finite losses and gradient.*the last good checkpoint"):
        train("vae", options=NORMAL)

    saved, tensors = checkpoint.load(folder)
    assert saved.step == 4
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_a_loss_that_is_no_number_before_the_first_checkpoint_says_that_there_is_none(train, folder, monkeypatch):
    poison(monkeypatch, step=2)

    with pytest.raises(TrainingError, match=r"^step 2: .*no checkpoint was saved yet$"):
        train("vae")
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_saves_the_step_and_says_how_to_go_on(train, folder, monkeypatch, number):
    step = Learner.step

    def stop_in_step_6(self, x):
        if self.state.step == 5:
            os.kill(os.getpid(), number)
        return step(self, x)

    monkeypatch.setattr(Learner, "step", stop_in_step_6)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(RunStoppedError, match="stopped after step 6, saved; go on with --resume") as caught:
        train("vae")

    assert caught.value.exit_code == 130
    assert checkpoint.load(folder)[0].step == 6
    assert log_of(folder)[-1]["step"] == 6
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_a_request_during_a_preview_is_kept_until_the_next_step_is_saved(train, folder, monkeypatch):
    preview = Trainer._preview

    def stop_while_drawing(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        preview(self, *arguments)

    monkeypatch.setattr(Trainer, "_preview", stop_while_drawing)
    with pytest.raises(RunStoppedError, match="stopped after step 3, saved"):
        train("vae", preview_every=2, save_every=100)

    assert checkpoint.load(folder)[0].step == 3


def test_a_request_in_the_last_step_does_not_undo_a_finished_run(train, monkeypatch):
    step = Learner.step

    def stop_in_the_last(self, x):
        if self.state.step == 11:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, x)

    monkeypatch.setattr(Learner, "step", stop_in_the_last)

    assert train("vae").step == 12


def test_a_second_interrupt_acts_as_usual():
    from gen_export.training.signals import stop_requests

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job would ignore it
    try:
        with stop_requests() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.is_set()
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_a_run_trains_and_leaves_the_signals_alone(train):
    from concurrent.futures import ThreadPoolExecutor

    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as pool:
        record = pool.submit(train, "vae").result()

    assert record.step == 12
    assert signal.getsignal(signal.SIGINT) is before


class Counted(ArraySet):
    """A set that notes which images were asked for."""

    def __init__(self, array):
        super().__init__("counted", array)
        self.asked = []

    def _read(self, indices):
        self.asked.append(indices.tolist())
        return super()._read(indices)


def trainer(folder, images, **settings):
    settings = TrainSettings(**{"steps": 5, "batch_size": 4, "save_every": 5, "preview_every": 5, **settings})
    record = Record("vae", {"size": "tiny", "latent": 4}, ImageShape(1, 8, 8), settings, {})
    held_out = ArraySet("held out", np.zeros((2, 8, 8), np.uint8))
    return Trainer(record, images, held_out, folder, CPU)


def test_each_batch_is_read_once_and_in_the_order_of_the_seed(tmp_path):
    images = Counted(np.random.default_rng(0).integers(0, 256, (10, 8, 8), np.uint8))
    trainer(tmp_path, images, seed=3).run()

    assert images.asked == [batch_indices(10, 4, 3, step).tolist() for step in range(5)]


def test_a_resumed_run_reads_only_what_is_left(tmp_path):
    images = Counted(np.zeros((10, 8, 8), np.uint8))
    resumed = trainer(tmp_path, images)
    resumed.state.step = 3
    resumed.run()

    assert images.asked == [batch_indices(10, 4, 0, step).tolist() for step in (3, 4)]


def test_batches_are_floats_in_range_with_the_channels_in_front(tmp_path):
    pixels = np.stack([np.full((8, 8), value, np.uint8) for value in (0, 51, 255)])
    (batch, *_) = trainer(tmp_path, ArraySet("greys", pixels), batch_size=3, steps=1).batches()

    assert batch.images.shape == (3, 1, 8, 8)
    assert sorted(batch.images[:, 0, 0, 0].tolist()) == pytest.approx([-1.0, -0.6, 1.0])
    assert batch.labels is None


def test_labels_go_with_their_images(tmp_path):
    pixels = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8)
    labelled = ArraySet("greys", pixels, np.arange(12) // 2)
    for batch in trainer(tmp_path, labelled, batch_size=5, steps=3).batches():
        levels = ((batch.images[:, 0, 0, 0] + 1) * 127.5).round().long()

        assert batch.labels.tolist() == (levels // 2).tolist()


def test_an_error_while_reading_ahead_is_raised_by_the_step_that_needs_the_batch(tmp_path):
    class Broken(Counted):
        def _read(self, indices):
            if len(self.asked) == 2:
                raise DataError("image 7: gone")
            return super()._read(indices)

    with pytest.raises(DataError, match="image 7: gone"):
        trainer(tmp_path, Broken(np.zeros((10, 8, 8), np.uint8))).run()


def test_a_run_does_not_start_over_another(train, folder):
    train("vae")
    before = (folder / FILE).read_bytes()

    with pytest.raises(CheckpointError, match=f"{folder}: expected a new folder.*--resume"):
        train("vae")
    assert (folder / FILE).read_bytes() == before


def test_a_refused_option_of_the_model_leaves_no_folder(dots, folder):
    with pytest.raises(ConfigError, match=r"^latent: "):
        run.start("vae", {"latent": 0}, TrainSettings(), run.Source(str(dots)), folder, CPU)

    assert not folder.exists()


def test_resume_refuses_a_run_of_another_family(train, folder):
    train("vae")

    with pytest.raises(CheckpointError, match=f"{folder}: expected a run of diffusion, found one of vae"):
        run.resume("diffusion", folder, CPU)


def test_resume_refuses_changed_images(train, folder, dots):
    train("vae")
    original = dots.read_bytes()
    images = np.load(dots)
    images[0] ^= 1
    try:
        np.save(dots, images)
        with pytest.raises(CheckpointError, match=f"{folder}: expected the images it was trained on.*{dots}"):
            run.resume("vae", folder, CPU)
    finally:
        dots.write_bytes(original)


def test_resuming_a_finished_run_changes_nothing(train, folder):
    record = train("vae")
    _, before = checkpoint.load(folder)

    assert run.resume("vae", folder, CPU) == record
    assert all(torch.equal(value, before[name]) for name, value in checkpoint.load(folder)[1].items())


def test_a_log_keeps_whole_lines_up_to_the_checkpoint(tmp_path):
    """The last line was cut where a nested object ends: it looks whole and is not."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"step": 2, "held_out": {"loss": 1}')
    Log(tmp_path, 2).write(3, loss=0.5)

    assert [json.loads(line) for line in read_lines(path)] == [{"step": 1}, {"step": 2}, {"step": 3, "loss": 0.5}]


def test_a_new_log_is_empty(tmp_path):
    assert read_lines(tmp_path / "log.jsonl") == []
    assert read_lines(Log(tmp_path, 0).path) == []


def test_about_tells_nothing_of_the_trainers_machine(train, folder, dots):
    sections = run.about(train("vae"))

    assert str(dots.parent) not in json.dumps(sections)
    assert sections["data"]["name"] == "dots"
    assert sections["training"]["images_seen"] == 48


def test_low_precision_trains_on_the_cpu_and_keeps_float32_weights(train, tmp_path):
    for precision in ("bfloat16", "float16"):
        train("vae", folder=tmp_path / precision, precision=precision)
        _, tensors = checkpoint.load(tmp_path / precision)

        assert {value.dtype for value in tensors.values()} == {torch.float32}
        assert all(torch.isfinite(value).all() for value in tensors.values())
        assert all(np.isfinite(entry["grad_norm"]) for entry in log_of(tmp_path / precision) if "loss" in entry)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu_is_refused_in_one_line():
    with pytest.raises(TrainingError, match=r"^--cuda: expected an NVIDIA GPU, but .*; leave --cuda out"):
        pick_device("cuda")
    assert pick_device("auto") == pick_device("cpu") == CPU


@pytest.mark.parametrize(
    ("device", "name", "expected"),
    [
        ("cpu", None, torch.float32),
        ("cuda", None, torch.bfloat16),
        ("cuda", "float32", torch.float32),
        ("cuda", "float16", torch.float16),
    ],
)
def test_the_arithmetic_is_bfloat16_on_cuda_unless_told(device, name, expected):
    assert pick_precision(name, torch.device(device)) == expected


def test_the_bar_of_a_terminal_shows_the_loss_and_the_rate(monkeypatch, capsys):
    from rich.console import Console

    from gen_export.training import progress

    monkeypatch.setattr(progress, "Console", lambda **options: Console(**options, force_terminal=True, width=120))
    with progress.TrainProgress("vae", steps=10, step=2) as bar:
        bar.update(4, ("loss", 0.12345), 1234.0)
        bar.say("step 4: a line")
    shown = capsys.readouterr().err

    assert all(text in shown for text in ("vae", "4/10", "loss 0.1235", "1,234 images/s", "step 4: a line"))


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["vae", "diffusion"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_short_run_on_cuda_trains_and_exports(dots, tmp_path, name, precision):
    from gen_export.export.writer import export_family

    settings = TrainSettings(steps=20, batch_size=8, save_every=10, preview_every=10, precision=precision)
    config = {"size": "tiny", **({"states": 60} if name == "diffusion" else {"latent": 4})}
    run.start(name, config, settings, run.Source(str(dots)), tmp_path, torch.device("cuda"))
    record, family = checkpoint.restore_averaged(tmp_path)

    assert all(torch.isfinite(value).all() for value in family.state_dict().values())
    assert export_family(family, tmp_path, name, run.about(record))[0] == tmp_path / f"{name}.onnx"


@pytest.mark.cuda
def test_a_compiled_run_on_cuda_trains_as_the_plain_one(dots, tmp_path):
    """Within what bfloat16 arithmetic in another order may do to twenty steps."""
    losses = []
    for compile_losses in (False, True):
        settings = TrainSettings(steps=20, batch_size=8, preview_every=20, compile=compile_losses, precision="float32")
        folder = tmp_path / str(compile_losses)
        config = {"size": "tiny", "states": 60}
        run.start("diffusion", config, settings, run.Source(str(dots)), folder, torch.device("cuda"))
        losses.append(log_of(folder)[0]["loss"])

    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_the_log_interval_is_shorter_than_the_default_interval_of_checkpoints():
    """Otherwise a run would show nothing before it saves."""
    assert TrainSettings().save_every > loop.LOG_EVERY


def test_a_batch_that_does_not_fit_the_memory_is_one_line(train, monkeypatch):
    monkeypatch.setattr(Learner, "step", raising(torch.OutOfMemoryError("CUDA out of memory\nand much more")))
    with pytest.raises(
        TrainingError, match=r"^--batch-size 4: does not fit the memory of cpu; try less, or more --accumulate$"
    ):
        train()


def raising(error):
    def call(*_, **__):
        raise error

    return call


def test_compiling_for_the_cpu_is_refused(train):
    with pytest.raises(TrainingError, match="--compile: expected an NVIDIA GPU to compile for, found cpu"):
        train(compile=True)


def test_the_compiled_losses_are_the_losses(build_family):
    """On the CPU through dynamo alone, which needs no compiler; the warning about a cached look-up is held back."""
    family = build_family("vae")
    x = torch.zeros((2, *family.image.chw))
    with pytest.MonkeyPatch.context() as patch:
        whole = torch.compile
        patch.setattr(torch, "compile", lambda losses: whole(losses, backend="eager"))
        losses = compiled(family.losses, torch.device("cuda"))
        found = losses(Batch(x), torch.Generator().manual_seed(1))

    expected = family.losses(Batch(x), torch.Generator().manual_seed(1))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}
    )


def test_the_loss_scale_of_float16_is_saved_and_restored(train, folder, dots):
    """On the CPU a stand-in for CUDA's: the state travels through the record."""
    record = train(steps=4)
    scaled = dataclasses.replace(record, scaler={"scale": 512.0, "_growth_tracker": 3})
    checkpoint.save(folder, scaled, checkpoint.load(folder)[1])
    loaded, tensors = checkpoint.load(folder)
    images = open_data(dots)
    trainer = Trainer(loaded, images, images, folder, torch.device("cpu"))
    restored = []
    trainer.learner.scaler.load_state_dict = restored.append
    trainer.restore(tensors)

    assert restored == [{"scale": 512.0, "_growth_tracker": 3}]


def test_a_run_goes_on_where_its_images_have_moved(train, folder, dots, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    here, moved = (Path(shutil.copy(dots, tmp_path / name)) for name in ("here", "there"))
    settings = TrainSettings(steps=4, batch_size=4)
    run.start("vae", {"size": "tiny", "latent": 4}, settings, run.Source(str(here)), folder, CPU)
    here.unlink()
    with pytest.raises(DataError):
        run.resume("vae", folder, CPU)

    assert run.resume("vae", folder, CPU, str(moved)).step == 4


def test_a_line_of_the_log_that_is_no_entry_is_dropped(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\nnot JSON\n{"loss": 2}\n[3]\n{"step": 2}\n', encoding="utf-8")
    Log(tmp_path, 2)

    assert log_of(tmp_path) == [{"step": 1}, {"step": 2}]
