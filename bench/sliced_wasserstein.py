"""How far the images that a file draws are from held-out ones, by a sliced Wasserstein distance.

    python bench/sliced_wasserstein.py runs/gan/gan.onnx --data sprites

For 512 random directions, images become numbers; the squared distance of the two sorted sets of numbers, averaged over
them, is that of the best transport between them (Rabin et al. 2012). It is taken of whole images, and of 7x7 patches,
which see texture. Beside it stand the same distance of training images, which is as low as a sample can be expected to
be, and of noise of the right mean and variance at every pixel.
"""

import argparse
from pathlib import Path

import numpy as np

import gen_runtime
from gen_export.data import open_data

DIRECTIONS = 512
PATCH = 7
COUNT = 2000


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Sliced 2-Wasserstein distance of two sets (N, F), of values in [0, 1]."""
    directions = np.random.default_rng(0).standard_normal((first.shape[1], DIRECTIONS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    apart = np.sort(first @ directions, axis=0) - np.sort(second @ directions, axis=0)
    return float(np.sqrt(np.mean(np.square(apart))))


def patches(images: np.ndarray, each: int = 8) -> np.ndarray:
    """Random patches (N each, F) of images (N, H, W, C), at the same places whatever the images."""
    rng = np.random.default_rng(1)
    count, height, width, _ = images.shape
    tops, lefts = (rng.integers(0, side - PATCH + 1, (count, each)) for side in (height, width))
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
    return windows[np.arange(count)[:, None], tops, lefts].reshape(count * each, -1)


def noise(images: np.ndarray) -> np.ndarray:
    """Images of independent pixels with the means and variances of these."""
    return np.random.default_rng(2).normal(images.mean(0), images.std(0), images.shape).astype(np.float32)


def main() -> None:
    """Print a line each for the file, for training images and for noise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", default="sprites")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--solver")
    arguments = parser.parse_args()
    options = {name: value for name in ("steps", "solver") if (value := getattr(arguments, name)) is not None}
    model, indices = gen_runtime.load(arguments.file), np.arange(COUNT)
    held_out, trained = (open_data(arguments.data, part=part).images(indices) / 255 for part in ("test", "train"))
    drawn = np.concatenate([model.sample(250, first=first, **options) for first in range(0, COUNT, 250)]) / 255
    for name, images in (("file", drawn), ("training images", trained), ("noise", noise(held_out))):
        whole = distance(images.reshape(len(images), -1), held_out.reshape(len(held_out), -1))
        print(f"{name:16} whole {whole:.4f}   patches {distance(patches(images), patches(held_out)):.4f}")


if __name__ == "__main__":
    main()
