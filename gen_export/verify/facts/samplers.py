"""Facts of ours that hold for every family that samples: the documented noise, seeds, samples and defaults.

A sampler's noise is that of `gen_export.spec.noise`: standard normal in float32, or uniform where the port of its
sibling says float64. Images of the same noise may differ where rounding decides between two bytes.
"""

import math
from typing import Any

import numpy as np

from gen_export.spec.noise import SCHEME, sample_keys, sample_normals, seed_bits, uniforms
from gen_export.spec.pixels import to_bytes
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.files import Files, random
from gen_export.verify.rounding import UNIT, images_apart, in_units

SAMPLERS = ("vae", "vqvae", "gan", "diffusion")
# Options of a run, each held in its port's range; a sampler takes those that it knows.
TRIALS = (
    {"steps": 7, "eta": 0.5, "solver": 0, "temperature": 1.0, "top_k": 2**31, "label": 2**31, "guidance": 1.0},
    {"steps": 3, "eta": 0.0, "solver": 1, "temperature": 0.7, "top_k": 3, "label": 1, "guidance": 1.5},
    {"steps": 2, "eta": 1.0, "solver": 0, "temperature": 0.0, "top_k": 2**31, "label": 2**31, "guidance": 0.5},
    {"steps": 3, "eta": 0.0, "solver": 4, "temperature": 1.0, "top_k": 2**31, "label": 0, "guidance": 1.0},
)
# Seeds and first samples: the ends of int64, and more samples than int32 and a float32 can count.
STARTS = ((0, 0), (42, 7), (-1, 2**40), (2**63 - 1, 7))
SAME_LEVELS, SAME_SHARE = 1, 1e-3
"""The most levels, and the share of values, by which images may differ where a bit of the noise has."""
_OURS = "gen_export.sampler.{}".format
_BOTH = ("sample", "sample_from_noise")


def _ports(files: Files, graph: str) -> dict[str, Any]:
    return {port.name: port for port in files.probe(graph).graph.card.inputs}


def _uniform(files: Files) -> bool:
    """Whether the noise is uniform on (0, 1); else it is standard normal."""
    return _ports(files, "sample_from_noise")["noise"].dtype == "float64"


def _options(files: Files, graph: str, trial: int) -> dict[str, np.ndarray]:
    """The options of a trial that the sampler takes."""
    ports = _ports(files, graph)
    return {
        name: np.asarray(min(value, ports[name].maximum or value), ports[name].dtype)
        for name, value in TRIALS[trial].items()
        if name in ports
    }


def _sample(files: Files, seed: int, first: int, count: int, trial: int = 0) -> np.ndarray:
    """Images of the sampler."""
    given = {"seed": np.array(seed), "first": np.array(first), "count": np.array(count)}
    return files.run("sample", {**given, **_options(files, "sample", trial)})["images"]


def documented_noise(files: Files, seed: int, first: int, count: int, trial: int = 0) -> dict[str, np.ndarray]:
    """The noise of samples of a seed as the sibling takes it, for the steps of a trial, and their first number."""
    ports = _ports(files, "sample_from_noise")
    shape = ports["noise"].shape[1:]
    samples = (first + np.arange(count)).astype(np.uint64)
    noise = {"first": np.array(first)} if "first" in ports else {}
    if _uniform(files):
        keys = sample_keys(seed_bits(seed), samples)
        return {**noise, "noise": uniforms(keys, np.zeros(1, np.uint64), math.prod(shape)).reshape(count, *shape)}
    noise["noise"] = sample_normals(seed, samples, 0, shape)
    if "step_noise" in ports:
        draws = ports["step_noise"].shape[0]
        fixed = draws if isinstance(draws, int) else int(_options(files, "sample", trial)["steps"])
        noise["step_noise"] = np.stack([sample_normals(seed, samples, j + 1, shape) for j in range(fixed)])
    return noise


def _from_noise(files: Files, seed: int, first: int, count: int, trial: int = 0) -> np.ndarray:
    """Images of the sibling for the documented noise."""
    noise = documented_noise(files, seed, first, count, trial)
    return files.run("sample_from_noise", {**noise, **_options(files, "sample_from_noise", trial)})["images"]


@fact(_OURS("initial_noise"), "tolerance", families=SAMPLERS, graphs=_BOTH)
def sampler_draws_the_documented_numbers(files: Files) -> Finding:
    """The noise that sample(seed, count, first) starts from is that of the samples first .. first + count - 1."""
    found = []
    for seed, first in STARTS:
        given = {"seed": np.array(seed), "first": np.array(first), "count": np.array(2)}
        drawn = files.run("sample", {**given, **_options(files, "sample", 1)}, inner=("noise",))["noise"]
        expected = documented_noise(files, seed, first, 2)["noise"]
        # One rounding to float32, to either side of a float64 number that two libraries may round differently.
        found.append(in_units(drawn, expected, 2.0 * UNIT * np.abs(expected) + 2.0**-48, 2).error)
    return worst(found, 1.0, 2 * len(STARTS), "in units of one rounding")


@fact(_OURS("noise"), "tolerance", families=SAMPLERS, graphs=_BOTH)
def sampler_is_its_sibling(files: Files) -> Finding:
    """sample(seed, count, first) = sample_from_noise(noise of samples first .. first + count - 1), for several options.

    The two run the same network on numbers that agree bit for bit but for one in some millions: a level here and there.
    """
    runs = [(*start, 2, i % len(TRIALS)) for i, start in enumerate(STARTS)]
    apart = [images_apart(_sample(files, *run), _from_noise(files, *run), SAME_LEVELS, SAME_SHARE) for run in runs]
    return Finding(max(apart), 1.0, 2 * len(STARTS), "in units of what rounding may do to bytes")


@fact(_OURS("bytes"), "exact", families=SAMPLERS, graphs=_BOTH)
def bytes_are_those_of_the_pixels(files: Files) -> Finding:
    """Both samplers' images are the nearest bytes of their pixels, clipped to [-1, 1], whatever the pixels are."""
    image, rng = files.card.image, random("bytes of pixels")
    x = rng.uniform(-1.25, 1.25, (2, image.channels, image.height, image.width)).astype(np.float32)
    given = {
        "sample": {"seed": np.array(0), "count": np.array(2)},
        "sample_from_noise": documented_noise(files, 0, 0, 2),
    }
    found = [files.run(graph, {**given[graph], **_options(files, graph, 0)}, put={"pixels": x}) for graph in _BOTH]
    return same_bits(np.stack([run["images"] for run in found]), np.stack([to_bytes(x).transpose(0, 2, 3, 1)] * 2), 4)


@fact(_OURS("batch"), "tolerance", families=SAMPLERS, graphs=("sample",))
def samples_do_not_depend_on_their_batch(files: Files) -> Finding:
    """Sample i of a seed is the same image however many are drawn with it: 4 at once are 4 drawn one by one."""
    seed, first, count = 42, 7, 4
    alone = np.concatenate([_sample(files, seed, first + i, 1) for i in range(count)])
    together = _sample(files, seed, first, count)
    return Finding(images_apart(together, alone), 1.0, count, f"{int((together != alone).sum())} bytes differ")


@fact(_OURS("seed"), "sampled", families=SAMPLERS, graphs=_BOTH)
def seeds_matter(files: Files) -> Finding:
    """Samples of other seeds and numbers are other images, as many as the network makes of their noise."""
    found, expected = (
        len({image.tobytes() for start in STARTS for image in draw(files, *start, 2)})
        for draw in (_sample, _from_noise)
    )
    return Finding(float(expected - found), 0.0, 2 * len(STARTS), f"{found} images")


@fact(_OURS("scheme"), "exact", families=SAMPLERS, graphs=_BOTH)
def cards_name_the_noise(files: Files) -> Finding:
    """The samplers' cards name the scheme and the law of the noise (error: cards that do not)."""
    expected = {"scheme": SCHEME, "law": "uniform on (0, 1)" if _uniform(files) else "standard normal"}
    named = [files.probe(graph).graph.card.noise for graph in _BOTH]
    return Finding(float(sum(noise != expected for noise in named)), 0.0, len(named))


@fact("gen_export.files.defaults", "exact", families=SAMPLERS, graphs=("objective",))
def defaults_are_those_that_the_files_hold(files: Files) -> Finding:
    """The default that a card gives for an optional input is the value that the file holds for it (error: others)."""
    wrong, cases = [], 0
    for name in files.graphs:
        probe = files.probe(name)
        for port in probe.graph.card.inputs:
            if port.default is not None:
                cases += 1
                held = probe.file.graph.initializers.get(port.name)
                if held is None or not np.array_equal(held, np.asarray(port.default, port.dtype)):
                    wrong.append(f"{name}: {port.name}")
    return Finding(float(len(wrong)), 0.0, cases, ", ".join(wrong))
