"""The metadata document: what every exported file says of itself, under one key (docs/metadata.schema.json)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from gen_runtime.card import KEY, VERSION
from gen_runtime.ports import Port

Document = dict[str, Any]


def document(
    graph: str,
    summary: str,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    inner: Sequence[Port],
    common: Mapping[str, Any],
) -> Document:
    """The document of one graph; `common` is what all files of an export share."""
    return {
        "version": VERSION,
        "graph": graph,
        "summary": summary,
        "inputs": [port.to_json() for port in inputs],
        "outputs": [port.to_json() for port in outputs],
        "inner": [port.to_json() for port in inner],
        "parts": [],
        "parity": [],
        "trajectory": None,
        "certificate": None,
        **common,
    }


def stamp(model: ir.Model, contents: Document) -> None:
    """Put the document into the model's metadata."""
    model.metadata_props[KEY] = json.dumps(contents, allow_nan=False)
