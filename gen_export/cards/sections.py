"""The sections of a card, each from one part of the metadata document; None where the file says nothing of it."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from gen_export.cards.markdown import fields, plain, shown, table
from gen_export.verify.stamp import stamp_fits
from gen_runtime import Card, Model, Port

Section = str | None
_DIFFERENCES = {
    "max_abs": "largest difference",
    "rel_l2": "relative difference",
    "max_levels": "grey levels",
    "pixels_apart": "share of bytes apart",
}


def calls(model: Model) -> str:
    """One call in each language."""
    file, graph = json.dumps(model.path.name, ensure_ascii=False), model.card.graph
    names = ", ".join(port.name for port in model.card.inputs)
    if graph == "sample":
        python = f'save_png("out.png", grid(load({file}).sample(count=16, seed=7)))'
        cpp = f'gen::save_ppm("out.ppm", gen::grid(gen::Model::load({file}).sample(16, 7)));'
        csharp = f'using (var model = GenModel.Load({file})) ImageGrid.Of(model.Sample(16, 7)).SavePpm("out.ppm");'
        javascript = f"const images = await (await load({file})).sample({{ count: 16, seed: 7 }});"
    else:
        python = f"outputs = load({file}).{graph}({names})"
        cpp = f'const auto outputs = gen::Model::load({file}).call("{graph}", {names});'
        csharp = f'using (var model = GenModel.Load({file})) {{ var outputs = model.Call("{graph}", {names}); }}'
        javascript = f'const outputs = await (await load({file})).call("{graph}", {names});'
    imported = "grid, load, save_png" if graph == "sample" else "load"
    blocks = (
        ("python", f"from gen_runtime import {imported}  # pip install 'gen-export[cpu]'\n\n{python}"),
        ("cpp", f"#include <gen_runtime.hpp>\n\n{cpp}"),
        ("csharp", f"using GenRuntime;\n\n{csharp}"),
        ("js", f'import {{ load }} from "gen-runtime";\n\n{javascript}'),
    )
    return "\n\n".join(f"```{language}\n{code}\n```" for language, code in blocks)


def ports(model: Model) -> str:
    """What the graph takes and gives, and the graphs in the files beside it."""
    columns = ("", "type", "shape", "range", "default", "")
    at_hand = [name for name in model.card.parts if model.part_path(name).is_file()]
    parts = [(f"`{model.part_path(name).name}`", _signature(model.graph(name).card)) for name in at_hand]
    tables = [
        f"Inputs\n\n{table(columns, map(_port, model.card.inputs))}",
        f"Outputs\n\n{table(columns, map(_port, model.card.outputs))}",
        *([f"Files beside it\n\n{table(('file', 'graph'), parts)}"] if parts else []),
    ]
    return "\n\n".join(tables)


def _signature(card: Card) -> str:
    """A graph as `name(inputs) -> outputs`."""
    takes, gives = (", ".join(port.name for port in ports) for ports in (card.inputs, card.outputs))
    return f"`{card.graph}({takes}) -> {gives}`"


def _port(port: Port) -> tuple[str, ...]:
    """A port as the cells of its row."""
    shape = " x ".join(map(str, port.shape)) or "one number"
    default = "" if port.default is None else f"{port.default:g}"
    if port.choices and port.default in range(len(port.choices)):
        default = port.choices[int(port.default or 0)]
    return f"`{port.name}`", port.dtype, shape, _span(port), default, plain(port.description)


def _span(port: Port) -> str:
    """The allowed values, where they are bounded."""
    if port.choices:
        return shown(list(port.choices))
    least, most = (None if bound is None else f"{bound:g}" for bound in (port.minimum, port.maximum))
    if least is None:
        return "" if most is None else f"at most {most}"
    return f"at least {least}" if most is None else f"{least} to {most}"


def training(card: Card) -> Section:
    """The images it was trained on, and how."""
    sections = {"Images": card.data, "Recipe": card.training, "Options": card.config, "Schedule": card.schedule}
    tables = [f"{title}\n\n{fields(section)}" for title, section in sections.items() if section]
    return "\n\n".join(tables) or None


def parity(card: Card) -> Section:
    """The worst differences from the model that was exported, a line a graph."""
    rows: dict[str, dict[str, float]] = {}
    for row in card.parity:
        if "against" not in row:
            worst = rows.setdefault(str(row.get("graph")), {})
            for name in _DIFFERENCES.keys() & row.keys():
                worst[name] = max(worst.get(name, 0), row[name])
    if not rows:
        return None
    cells = [
        (f"`{plain(graph)}`", *(shown(worst[name]) if name in worst else "" for name in _DIFFERENCES))
        for graph, worst in rows.items()
    ]
    text = "The worst found between PyTorch and ONNX Runtime before the files were kept."
    return f"{text}\n\n{table(('graph', *_DIFFERENCES.values()), cells)}"


def facts(model: Model) -> Section:
    """What `verify` found on the files, and whether it still holds of them."""
    verified = model.card.verified
    if verified is None:
        return None
    if not stamp_fits(model.path):
        return "The files were changed after they were verified, so nothing is known of them as they are."
    found: Mapping[str, Mapping[str, Any]] = verified["facts"]
    kinds = Counter(fact["kind"] for fact in found.values() if fact["verdict"] == "passed")
    text = f"{shown(verified['passed'])} facts passed ({', '.join(f'{n} {plain(kind)}' for kind, n in kinds.items())})"
    rows = [
        (f"`{plain(name)}`", *(shown(fact[field]) for field in ("kind", "verdict", "error", "bound")))
        for name, fact in found.items()
    ]
    listed = table(("fact", "evidence", "verdict", "error", "bound"), rows)
    away = [name for name in verified["files"] if name in model.card.parts and not model.part_path(name).is_file()]
    more = f" and {', '.join(map(plain, away))}, which are not shipped" if away else ""
    return f"{text}, {shown(verified['skipped'])} skipped, on exactly these files{more}.\n\n{listed}"


def certificate(card: Card) -> Section:
    """The proven constants of a denoiser and of whole runs."""
    if not card.certificate:
        return None
    if "refused" in card.certificate:
        return f"None: {shown(card.certificate['refused'])}."
    constant = f"Lipschitz constant of the denoiser, for all inputs: {shown(card.certificate['lipschitz'])}."
    runs = [(f"`{plain(solver)}`", f"10^{shown(log10)}") for solver, log10 in card.certificate["run_log10"].items()]
    return f"{constant}\n\n{table(('solver', 'constant of a whole run'), runs)}"


def evaluation(section: Mapping[str, Any] | None) -> Section:
    """The scores, each beside its floor: what held-out images score in place of the model's."""
    if not section:
        return None
    floor = section.get("floor", {})
    rows = [
        (plain(name), _measured(score), shown(floor[name]) if floor.get(name) is not None else "")
        for name, score in section.get("scores", {}).items()
    ]
    known = {name: section[name] for name in ("data", "features", "images") if section.get(name) is not None}
    about = ", ".join(f"{name}: {shown(value)}" for name, value in known.items())
    floor_note = "The floor is what held-out images score in place of the model's."
    return f"{about}. {floor_note}\n\n{table(('score', 'value', 'floor'), rows)}"


def _measured(score: Mapping[str, Any]) -> str:
    """A value with its error, where it has one."""
    error = score.get("error")
    return shown(score["value"]) + ("" if error is None else f" ± {error:.2g}")


def limits(card: Card, scores: Mapping[str, Any] | None) -> str:
    """What the file cannot do, and what nobody has measured."""
    size, data = card.image, card.data or {}
    sizes = f"{size.height} x {size.width} pixels and {size.channels} channel{'s' * (size.channels > 1)}"
    taught = f"{shown(data['images'])} images of {shown(data['name'])}" if {"images", "name"} <= data.keys() else "it"
    points = [
        f"Its images have {sizes}, no other size.",
        f"It knows what {taught} taught it, with their gaps and biases, and nothing else.",
        "The same inputs give the same bytes in Python, C++, C# and Node on one kind of processor.",
        "A browser's WebAssembly or another processor may be one grey level apart in a few bytes of a thousand.",
    ]
    if not scores:
        points.append("How close its images are to real ones was not measured.")
    if card.verified is None:
        points.append("The facts of its mathematics were not checked on these files.")
    return "\n".join(f"- {point}" for point in points)
