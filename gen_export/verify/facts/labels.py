"""Facts of ours about the classes that a sampler is told, and the guidance to them (`gen_export.spec.guidance`)."""

from collections.abc import Mapping

import numpy as np

from gen_export.data.classes import MOST_CLASSES
from gen_export.spec.guidance import ANY, EACH
from gen_export.verify.fact import Finding, fact, worst
from gen_export.verify.files import Files
from gen_export.verify.labels import class_count, told
from gen_export.verify.rounding import images_apart
from gen_runtime.inputs import Array

_OURS = "gen_export.labels.{}".format
_SAMPLERS, _GUIDED = ("vae", "vqvae", "diffusion"), ("vqvae", "diffusion")
_LABEL, _FIRST, _STEPS = ("label",), 2**40 + 1, 3


def _sample(files: Files, count: int, first: int, options: Mapping[str, Array]) -> Array:
    """Images of a seed, in few steps."""
    ports = [port.name for port in files.probe("sample").graph.card.inputs]
    given = {"seed": np.array(11), "count": np.array(count), "first": np.array(first), "steps": np.array(_STEPS)}
    return files.run("sample", {name: value for name, value in {**given, **options}.items() if name in ports})["images"]


@fact(_OURS("each_class_in_turn"), "tolerance", families=_SAMPLERS, graphs=("sample",), ports=_LABEL)
def default_is_each_class_in_turn(files: Files) -> Finding:
    """Sample i of the default run is that of class i mod K, wherever the run begins."""
    count, apart = class_count(files, "sample"), []
    tried = range(min(3, count + 1))
    for first in (0, _FIRST):
        together = _sample(files, len(tried), first, {})
        for i in tried:
            alone = _sample(files, 1, first + i, told(files, "sample", (first + i) % count))
            apart.append(images_apart(together[i : i + 1], alone))
    return worst(apart, 1.0, len(apart), "in units of what rounding may do to bytes")


@fact(_OURS("no_guidance_is_any_class"), "tolerance", families=_GUIDED, graphs=("sample",), ports=_LABEL)
def guidance_of_zero_tells_no_class(files: Files) -> Finding:
    """Images with guidance 0 are those of any class, whatever class is named."""
    none = {"guidance": np.array(0, np.float32), **told(files, "sample", 0)}
    apart = images_apart(_sample(files, 2, 0, none), _sample(files, 2, 0, told(files, "sample")))
    return Finding(apart, 1.0, 2, "in units of what rounding may do to bytes")


@fact(_OURS("choices"), "exact", families=_SAMPLERS, graphs=("sample",), ports=_LABEL)
def choices_are_the_classes(files: Files) -> Finding:
    """The choices of the sampler's label are the card's classes, any and each; each is the default (error: others)."""
    port = next(port for port in files.probe("sample").graph.card.inputs if port.name == "label")
    classes = (files.card.config or {}).get("classes", [])
    wrong = [port.choices != (*classes, ANY, EACH), port.default != len(classes) + 1, len(classes) > MOST_CLASSES]
    return Finding(float(sum(wrong)), 0.0, len(wrong))
