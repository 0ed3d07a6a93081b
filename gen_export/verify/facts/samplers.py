"""Facts of ours that hold for every family that samples: the documented noise, seeds, samples and defaults.

A sampler's noise is that of `gen_export.spec.noise`: standard normal in float32, or uniform where the port of its
sibling says float64. Images of the same noise may differ where rounding decides between two bytes.
"""

import math
from typing import Any

import numpy as np

from gen_export.spec.noise import SCHEME, sample_keys, sample_normals, seed_bits, uniforms
from gen_export.verify.fact import Finding, fact
from gen_export.verify.facts.rounding import images_apart
from gen_export.verify.files import Files

SAMPLERS = ("vae", "vqvae", "gan", "diffusion")
EVERY = (*SAMPLERS, "autoencoder", "mae")
STEPS, ETA = 7, 0.5
# Seeds and first samples: the ends of int64, and more samples than int32 and a float32 can count.
STARTS = ((0, 0), (42, 7), (-1, 2**40), (2**63 - 1, 7))
_OURS = "gen_export.sampler.{}".format
_BOTH = ("sample", "sample_from_noise")


def _ports(files: Files, graph: str) -> dict[str, Any]:
    return {port.name: port for port in files.probe(graph).graph.card.inputs}


def _uniform(files: Files) -> bool:
    """Whether the noise is uniform on (0, 1); else it is standard normal."""
    return _ports(files, "sample_from_noise")["noise"].dtype == "float64"


def _options(files: Files, graph: str) -> dict[str, np.ndarray]:
    """Options that make a sampler with steps use few, and fresh noise in each."""
    ports = _ports(files, graph)
    most = int(ports["steps"].maximum or STEPS) if "steps" in ports else 0
    few = {"steps": np.array(min(STEPS, most)), "eta": np.array(ETA, np.float32)}
    return {name: value for name, value in few.items() if name in ports}


def _sample(files: Files, seed: int, first: int, count: int) -> np.ndarray:
    """Images of the sampler."""
    given = {"seed": np.array(seed), "first": np.array(first), "count": np.array(count)}
    return files.run("sample", {**given, **_options(files, "sample")})["images"]


def documented_noise(files: Files, seed: int, first: int, count: int) -> dict[str, np.ndarray]:
    """The noise of samples of a seed as the sibling takes it."""
    ports = _ports(files, "sample_from_noise")
    shape = ports["noise"].shape[1:]
    samples = (first + np.arange(count)).astype(np.uint64)
    if _uniform(files):
        keys = sample_keys(seed_bits(seed), samples)
        return {"noise": uniforms(keys, np.zeros(1, np.uint64), math.prod(shape)).reshape(count, *shape)}
    noise = {"noise": sample_normals(seed, samples, 0, shape)}
    if "step_noise" in ports:
        draws = ports["step_noise"].shape[0]
        fixed = draws if isinstance(draws, int) else int(_options(files, "sample")["steps"])
        noise["step_noise"] = np.stack([sample_normals(seed, samples, j + 1, shape) for j in range(fixed)])
    return noise


def _from_noise(files: Files, seed: int, first: int, count: int) -> np.ndarray:
    """Images of the sibling for the documented noise."""
    noise = documented_noise(files, seed, first, count)
    return files.run("sample_from_noise", {**noise, **_options(files, "sample_from_noise")})["images"]


@fact(_OURS("noise"), "tolerance", families=SAMPLERS, graphs=_BOTH)
def sampler_draws_the_documented_noise(files: Files) -> Finding:
    """sample(seed, count, first) = sample_from_noise(noise of samples first .. first + count - 1 of the seed)."""
    apart = [images_apart(_sample(files, *start, 2), _from_noise(files, *start, 2)) for start in STARTS]
    return Finding(max(apart), 1.0, 2 * len(STARTS), "in units of what rounding may do to bytes")


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


@fact("gen_export.files.defaults", "exact", families=EVERY, graphs=("objective",))
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
