"""The front matter of a card: YAML between `---` lines, from which a model hub takes tags, task and results.

Each line is `name: value` with the value as JSON, which is YAML too.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from gen_runtime import Card

OPENING = "---\nlibrary_name: onnx\n"
"""How every card begins, and by which one that may be replaced is known."""
TASK = "unconditional-image-generation"
_DATASET = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


def front_matter(card: Card, title: str, evaluation: Mapping[str, Any] | None, licence: str | None) -> str:
    """The front matter of a file's card.

    Args:
        card: What the file says of itself.
        title: The model's name.
        evaluation: The document's section of that name; None where it has none.
        licence: The licence of the weights, as the hub names it; None leaves it open.
    """
    data = (card.data or {}).get("name")
    named: dict[str, Any] = {
        "license": licence,
        "pipeline_tag": TASK if card.graph == "sample" else None,
        "tags": ["onnx", "onnxruntime", "gen-export", card.family],
        "datasets": [data] if isinstance(data, str) and _DATASET.fullmatch(data) else None,
        "model-index": _model_index(title, evaluation) if evaluation else None,
    }
    lines = (f"{name}: {_yaml(value)}\n" for name, value in named.items() if value is not None)
    return f"{OPENING}{''.join(lines)}---\n"


def _model_index(title: str, evaluation: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The scores as the hub's results; None where there are none."""
    metrics = [
        {"type": name.replace(" ", "-"), "name": name, "value": score["value"]}
        for name, score in evaluation.get("scores", {}).items()
    ]
    data = str(evaluation.get("data"))
    result = {"task": {"type": TASK}, "dataset": {"name": data, "type": data}, "metrics": metrics}
    return [{"name": title, "results": [result]}] if metrics else None


def _yaml(value: Any) -> str:
    """A value as JSON without what YAML does not print."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else " " for letter in text)
