"""A diffusion model's files as the facts of its mathematics use them: its schedule, and calls of its graphs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gen_export.spec.guidance import guide
from gen_export.spec.schedules import named_alpha_bars
from gen_export.verify.files import Files
from gen_export.verify.labels import told

DIFFUSION = ("diffusion",)
SCALE = 1.5
"""Of the guidance in facts about files that know classes."""


def alpha_bars(files: Files) -> np.ndarray:
    """alpha_bar of the states 0..T of the schedule that the card names, float64 (T + 1,)."""
    schedule: Any = files.card.schedule
    return named_alpha_bars(schedule["kind"], schedule["states"])


def image_shape(files: Files) -> tuple[int, int, int]:
    """(C, H, W)."""
    image = files.card.image
    return image.channels, image.height, image.width


def noised(files: Files, x0: np.ndarray, t: Any, eps: np.ndarray) -> np.ndarray:
    """Images noised by the file, at one state or one an image."""
    levels = np.array(np.broadcast_to(t, len(x0)), np.int64)
    return files.run("noising", {"x0": x0, "t": levels, "eps": eps})["x"]


def denoised(files: Files, x: np.ndarray, t: Any, **label: np.ndarray) -> np.ndarray:
    """The noise that the file predicts in images, at one state or one an image."""
    return files.run("denoise", {"x": x, "t": np.array(np.broadcast_to(t, len(x)), np.int64), **label})["eps"]


def stepped(files: Files, x: np.ndarray, t: int, s: int, eta: float, z: np.ndarray, **guided: np.ndarray) -> np.ndarray:
    """One step of the file from state t to s."""
    levels = {"t": np.array(t), "s": np.array(s), "eta": np.array(eta, np.float32)}
    return files.run("step", {"x": x, **levels, "z": z, **guided})["x_s"]


def guidance(files: Files, graph: str) -> dict[str, np.ndarray]:
    """The inputs that ask for guided images of the first class; nothing where there are no classes."""
    label = told(files, graph, 0)
    return {**label, "guidance": np.array(SCALE, np.float32)} if label else {}


def guided(files: Files, x: np.ndarray, t: Any, denoise: Callable[..., np.ndarray] = denoised) -> np.ndarray:
    """The noise in images of the first class, guided; as it is predicted where there are no classes.

    Args:
        files: The model.
        x: Noised images.
        t: Their states.
        denoise: What predicts it, called as `denoised` is.
    """
    label = told(files, "denoise", 0)
    eps_hat = denoise(files, x, t, **label)
    return guide(eps_hat, denoise(files, x, t, **told(files, "denoise")), np.float32(SCALE)) if label else eps_hat
