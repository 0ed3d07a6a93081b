"""A family as a folder of checked files: all are written as drafts, compared with torch, then renamed."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch

import gen_export
from gen_export.errors import ExportError, NoCertificateError
from gen_export.export import metadata, parity, train_places
from gen_export.export.denoising import STEP
from gen_export.export.flow import FLOW
from gen_export.export.flow_parity import flow_parity
from gen_export.export.metadata import Document
from gen_export.export.sampler_graph import Built
from gen_export.export.samplers import FROM_NOISE, SAMPLE, START, SUMMARIES, TRAIN, build_samplers
from gen_export.export.tracing import trace
from gen_export.export.train_parity import train_parity
from gen_export.export.train_step import TrainStep
from gen_export.models.family import Family, Graph
from gen_export.models.lipschitz import plain
from gen_export.models.recipes import Denoising, Recipe
from gen_export.spec.noise import SCHEME
from gen_export.spec.schedules import SPACINGS
from gen_export.spec.solvers import SOLVERS
from gen_export.training.settings import TrainSettings
from gen_export.verify.certificate import certify_run, visited_states
from gen_export.verify.onnx_file import OnnxFile
from gen_runtime.graph import Graph as RuntimeGraph
from gen_runtime.graph import open_graph

OPSETS = range(18, 24)
CHOICES = {"solver": tuple(SOLVERS), "spacing": tuple(SPACINGS)}
LOOP = "loop"
Say = Callable[[str], None]


def export_family(
    family: Family,
    folder: Path,
    stem: str,
    about: Document,
    opset: int = 18,
    unroll: int | None = None,
    say: Say = lambda line: None,
    solver: str | None = None,
    spacing: str | None = None,
    parts: Collection[str] | None = None,
    train: TrainSettings | None = None,
    freeze: Sequence[str] = (),
) -> list[Path]:
    """Write `<stem>.onnx`, the family's main graph, and its parts `<stem>.<graph>.onnx`; return their paths.

    The main file is the first of them.

    Args:
        family: The trained model.
        folder: Where the files go; made if it is not there.
        stem: Name of the files.
        about: The sections `data` and `training` of the metadata.
        opset: ONNX opset, 18 to 23.
        unroll: Write the sampler as this fixed number of steps in a row, without a Loop.
        say: Called with one line as each file is checked.
        solver: Name of the sampler's default solver, the only one where it is unrolled.
        spacing: Name of the rule by which a run chooses its states.
        parts: Names of the graphs to keep beside the main one; by default all. All are compared with torch.
        train: Write a step of training with these settings, too.
        freeze: Parts of the model that stand still in it: beginnings of names up to a dot.

    Raises:
        ExportError: An option is out of range, or a graph disagrees with torch; then no file is kept.
    """
    if opset not in OPSETS:
        raise ExportError(f"--opset: expected {OPSETS[0]} to {OPSETS[-1]}, found {opset}")
    recipe = _recipe(family, unroll, {"solver": solver, "spacing": spacing})
    step = None if train is None else TrainStep(family.cpu().eval(), train, opset, freeze)
    family = plain(family.cpu()).eval()  # the weights are computed here, in float32
    drafts = _Drafts(folder, stem, family.main, parts)
    try:
        models = _write_drafts(family, recipe, drafts, about, opset, unroll, step)
        _compare(family, recipe, drafts, models, unroll, say)
        if step is not None:
            _compare_training(step, drafts, [name for name in models if name not in (TRAIN, START)], say)
        return drafts.keep()
    finally:
        drafts.discard()


def _recipe(family: Family, unroll: int | None, options: Mapping[str, str | None]) -> Recipe | None:
    """How the family samples, with the options that were given."""
    recipe = family.recipe()
    given = {name: value for name, value in options.items() if value is not None}
    asked = [*given, *(["unroll"] if unroll is not None else [])]
    if not isinstance(recipe, Denoising):
        if asked:
            raise ExportError(f"--{asked[0]}: expected a family that samples in a loop, found {family.name}")
        return recipe
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise ExportError(f"--{name}: expected one of {', '.join(CHOICES[name])}, found {value!r}")
    if unroll is not None and not 1 <= unroll <= recipe.states:
        raise ExportError(f"--unroll: expected 1 to {recipe.states} steps, found {unroll}")
    return replace(recipe, **given)


class _Drafts:
    """The files of an export while they are not yet known to be right."""

    def __init__(self, folder: Path, stem: str, main: str, parts: Collection[str] | None) -> None:
        self.folder, self.stem, self.main, self.parts = folder, stem, main, parts
        self.models: dict[str, ir.Model] = {}
        self.documents: dict[str, Document] = {}

    def final(self, name: str) -> Path:
        """Where a graph's file will be."""
        return self.folder / (f"{self.stem}.onnx" if name == self.main else f"{self.stem}.{name}.onnx")

    def draft(self, name: str) -> Path:
        """Where it is until then."""
        return self.final(name).with_suffix(".onnx.draft")

    def write(self, name: str, model: ir.Model, contents: Document) -> None:
        """Check that a model is valid ONNX and write its draft."""
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.models[name], self.documents[name] = model, contents
        self.add(name)

    def add(self, name: str, **sections: Any) -> None:
        """Write a draft with more in its metadata; its graph has been checked."""
        self.documents[name] |= sections
        metadata.stamp(self.models[name], self.documents[name])
        self.draft(name).write_bytes(ir.to_proto(self.models[name]).SerializeToString())

    def open(self, name: str) -> RuntimeGraph:
        """The draft as the runtime opens it, which checks its ports."""
        return open_graph(self.draft(name), "cpu", None)

    def kept(self, names: Sequence[str]) -> list[str]:
        """The parts to keep of these graphs, the main one and then its parts.

        Raises:
            ExportError: A part was asked for that is none.
        """
        possible = names[1:]
        for name in self.parts or ():
            if name not in possible:
                raise ExportError(f"--parts: expected some of {', '.join(possible)}, found {name!r}")
        return [name for name in possible if self.parts is None or name in self.parts]

    def keep(self) -> list[Path]:
        """Give the drafts their names, the main file last: it is new only when all its parts are."""
        names = [self.main, *self.documents[self.main]["parts"]]
        paths = [self.draft(name).replace(self.final(name)) for name in reversed(names)]
        return paths[::-1]

    def discard(self) -> None:
        """Remove what is still a draft."""
        for name in self.models:
            with contextlib.suppress(FileNotFoundError):
                self.draft(name).unlink()


def _write_drafts(
    family: Family,
    recipe: Recipe | None,
    drafts: _Drafts,
    about: Document,
    opset: int,
    unroll: int | None,
    step: TrainStep | None,
) -> dict[str, Graph | Built]:
    """All graphs of the family as drafts, the main one first."""
    chw = family.image.chw
    graphs = {graph.name: graph for graph in family.graphs()}
    traced = {name: trace(family, graph, opset) for name, graph in graphs.items()}
    built = {} if recipe is None else {b.name: b for b in build_samplers(recipe, traced, chw, unroll)}
    common = {**_common(family), **about}
    if isinstance(recipe, Denoising):
        common["schedule"] |= {"spacing": recipe.spacing, "solver": recipe.solver, "unrolled": unroll}
    noise = {} if recipe is None else {"noise": {"scheme": SCHEME, "law": recipe.law_name}}
    built |= {} if step is None else {graph.name: graph for graph in (step.train(), step.start())}
    contents = {name: _built_document(sampler, {**common, **noise}) for name, sampler in built.items()}
    contents |= {name: _traced_document(graph, common) for name, graph in graphs.items()}
    models = {name: sampler.model for name, sampler in built.items()} | traced
    order = sorted(models, key=lambda name: name != family.main)
    kept = drafts.kept(order)
    for name in order:
        drafts.write(name, models[name], {**contents[name], "parts": kept if name == family.main else []})
    if recipe is not None and unroll:
        loop = build_samplers(recipe, traced, chw)[0]
        drafts.write(LOOP, loop.model, metadata.document(SAMPLE, "", loop.inputs, loop.outputs, (), common))
    return {name: built[name] if name in built else graphs[name] for name in order}


def _built_document(built: Built, common: Document) -> Document:
    return metadata.document(built.name, SUMMARIES[built.name], built.inputs, built.outputs, built.inner, common)


def _traced_document(graph: Graph, common: Document) -> Document:
    return metadata.document(graph.name, graph.summary, graph.inputs, graph.outputs, graph.inner, common)


def _common(family: Family) -> Document:
    """What all files of an export say."""
    channels, height, width = family.image.chw
    config: dict[str, Any] = {name: getattr(family.config, name) for name in family.config.__dataclass_fields__}
    return {
        "family": family.name,
        "image": {"height": height, "width": width, "channels": channels},
        "config": config,
        "schedule": family.schedule(),
        "noise": None,
        "data": None,
        "training": None,
        "tool": {
            "gen_export": gen_export.__version__,
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
    }


def _compare(
    family: Family,
    recipe: Recipe | None,
    drafts: _Drafts,
    graphs: dict[str, Graph | Built],
    unroll: int | None,
    say: Say,
) -> None:
    """Measure every draft against torch and write what was found into it."""
    rows: list[dict[str, Any]] = []
    for name in sorted(graphs, key=FLOW.__contains__):  # networks before what is made of them
        if found := _compare_calls(family, recipe, graphs[name], drafts.open(name)):
            drafts.add(name, parity=found)
            rows += found
            worst = max(row["rel_l2"] for row in found)
            say(f"{drafts.final(name).name}: within {f'{worst:.1e}' if worst else 'rounding'} of torch")
    if recipe is None:
        drafts.add(family.main, parity=rows)
        return
    rows += _compare_sampler(family, recipe, drafts, unroll)
    trajectory, certificate = _compare_steps(family, recipe, drafts), _certificate(recipe, drafts, unroll)
    drafts.add(SAMPLE, parity=rows, trajectory=trajectory, certificate=certificate)
    apart = f"{rows[-1]['pixels_apart']:.2%} of values apart, at most {rows[-1]['max_levels']} of 255 levels"
    say(f"{drafts.final(SAMPLE).name}: {apart}")


def _compare_training(step: TrainStep, drafts: _Drafts, names: Sequence[str], say: Say) -> None:
    """Measure steps of training against torch's; write what was found, and where the weights are, into the file."""
    rows = train_parity(step, drafts.open(TRAIN), drafts.open(START))
    files = {name: drafts.draft(name) for name in names}
    drafts.add(TRAIN, parity=rows, state=step.optimizer() | train_places.section(files, step.weights, step.buffers))
    say(f"{drafts.final(TRAIN).name}: within {max(row['rel_l2'] for row in rows):.1e} of torch")


def _compare_calls(
    family: Family, recipe: Recipe | None, graph: Graph | Built, exported: RuntimeGraph
) -> list[dict[str, Any]]:
    """A graph called with random inputs against torch; nothing of what is compared by its images and steps."""
    if isinstance(graph, Graph):
        return parity.call_parity(graph, exported)
    if isinstance(recipe, Denoising) and graph.name in FLOW:
        return flow_parity(family, recipe, graph, exported)
    return []


def _compare_sampler(family: Family, recipe: Recipe, drafts: _Drafts, unroll: int | None) -> list[dict[str, Any]]:
    """The sampler against torch, its sibling and the loop it may unroll; the whole default run last."""
    sampler, sibling = drafts.open(SAMPLE), drafts.open(FROM_NOISE)
    looping = drafts.open(LOOP) if unroll else sampler
    trials = [trial for trial in recipe.trials if not unroll or trial["solver"] == recipe.options["solver"]]
    exact = [
        *(parity.sibling_parity(recipe, sampler, sibling, trial, unroll) for trial in trials),
        *(parity.sample_parity(family, recipe, looping, **trial) for trial in trials),
        *([parity.loop_parity(sampler, looping, unroll)] if unroll else []),
    ]
    rows = parity.require_same_images(*exact)
    if {} not in recipe.trials:
        whole = {"steps": unroll} if unroll else {}
        rows.append(parity.sample_parity(family, recipe, looping, **whole))
    return rows


def _compare_steps(family: Family, recipe: Recipe, drafts: _Drafts) -> dict[str, Any] | None:
    """The steps of a denoising sampler against torch's; None for another."""
    if not isinstance(recipe, Denoising):
        return None
    return parity.require_small_steps(parity.trajectory_parity(family, recipe, drafts.open(STEP)))


def _certificate(recipe: Recipe, drafts: _Drafts, unroll: int | None) -> dict[str, Any] | None:
    """The Lipschitz constants of a denoiser and of the default run's steps, or why there are none."""
    if not isinstance(recipe, Denoising):
        return None
    run = visited_states(unroll or recipe.steps, recipe.states, recipe.spacing)
    try:
        return certify_run(OnnxFile.read(drafts.draft("denoise")), recipe.alpha_bars.astype(np.float64), *run).section()
    except NoCertificateError as error:
        return {"refused": str(error)}
