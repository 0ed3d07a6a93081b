"""A function of a family as an ONNX model that computes the same numbers."""

import logging

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import nn

from gen_export.export.tracing import TRACED_BATCH, examples, trace
from gen_export.models.family import Family, Graph, ImageShape
from gen_runtime.ports import Port

X = Port("x", "float32", ("batch", 4))
Y = Port("y", "float32", ("batch", 4))


class Stub(Family):
    """A family of one function."""

    name = "stub"
    summary = "A function."
    Config = dict

    def __init__(self, function, inputs=(X,), outputs=(Y,), image=(1, 8, 8)):
        super().__init__({}, ImageShape(*image))
        self.layer = function if isinstance(function, nn.Module) else None
        self.declared = Graph("stub", "A function.", function, tuple(inputs), tuple(outputs))

    def players(self):
        return ()

    def graphs(self):
        return [self.declared]


def traced(function, opset=18, **ports) -> ir.Model:
    stub = Stub(function, **ports)
    return trace(stub, stub.declared, opset)


def run(model: ir.Model, **inputs: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    content = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def scalars(model: ir.Model) -> set[float]:
    """All constants of the model with one element."""
    values = [value.const_value for value in model.graph.initializers.values()]
    values += [node.attributes["value"].as_tensor() for node in model.graph if node.op_type == "Constant"]
    return {float(value.numpy().ravel()[0]) for value in values if value.size == 1}


def test_small_constants_survive():
    """Torch's own optimiser of ONNX graphs takes `+ 1e-8` for `+ 0` and `* 0.999995` for `* 1`."""
    model = traced(lambda x: x * 0.999995 / (x.abs().sqrt() + 1e-8))
    x = np.array([[1e-16, 4e-16, 1.0, 1e4]], np.float32)
    expected = x.astype(float) * 0.999995 / (np.sqrt(x.astype(float)) + 1e-8)

    assert {float(np.float32(1e-8)), float(np.float32(0.999995))} <= scalars(model)
    assert np.allclose(run(model, x=x), expected, rtol=3e-7)
    assert expected[0, 0] == pytest.approx(0.5e-8, rel=1e-4)  # half of what it is without the epsilon


@pytest.mark.parametrize("opset", [18, 21, 23])
def test_group_norm_is_torchs_at_every_opset(opset):
    torch.manual_seed(0)
    layer = nn.GroupNorm(4, 16, eps=1e-3)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    port = Port("x", "float32", ("batch", 16, 3, 5))
    model = traced(layer, opset, inputs=(port,), outputs=(Port("y", "float32", port.shape),), image=(1, 8, 8))
    x = torch.randn(3, 16, 3, 5) * 0.1 + 2.0

    with torch.no_grad():
        assert np.allclose(run(model, x=x.numpy()), layer(x).numpy(), atol=2e-5)
    assert model.opset_imports[""] == opset
    assert "InstanceNormalization" in [node.op_type for node in model.graph]


def test_inputs_and_outputs_have_the_names_and_shapes_of_the_ports():
    b, total = (Port(name, "float32", ()) for name in ("b", "total"))
    model = traced(lambda x, b: (x + b, x.sum()), inputs=(X, b), outputs=(Y, total))

    found = [(value.name, value.dtype, str(value.shape)) for value in (*model.graph.inputs, *model.graph.outputs)]
    assert found == [
        ("x", ir.DataType.FLOAT, "[batch,4]"),
        ("b", ir.DataType.FLOAT, "[]"),
        ("y", ir.DataType.FLOAT, "[batch,4]"),
        ("total", ir.DataType.FLOAT, "[]"),
    ]


@pytest.mark.parametrize("batch", [1, TRACED_BATCH, 5])
def test_the_batch_is_free(batch):
    model = traced(lambda x: x.cumsum(1) * x.shape[0])
    x = np.arange(batch * 4, dtype=np.float32).reshape(batch, 4)

    assert np.array_equal(run(model, x=x), x.cumsum(1) * batch)


def test_a_default_makes_an_input_optional():
    scale = Port("scale", "float32", (), default=0.25, optional=True)
    model = traced(lambda x, scale: x * scale, inputs=(X, scale))
    x = np.ones((2, 4), np.float32)

    assert run(model, x=x).ravel().tolist() == [0.25] * 8
    assert run(model, x=x, scale=np.array(3.0, np.float32)).ravel().tolist() == [3.0] * 8


def test_the_model_holds_no_functions_no_source_lines_and_an_ir_that_runtimes_read():
    model = traced(nn.Sequential(nn.Linear(4, 4), nn.SiLU()))

    assert len(model.functions) == 0
    assert not model.graph.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph)
    assert model.ir_version <= 11
    assert list(model.opset_imports) == [""]
    assert model.graph.name == "stub"


def test_a_module_in_training_mode_is_traced_as_it_runs_in_use():
    layer = nn.Dropout(0.5).train()

    assert np.array_equal(run(traced(layer), x=np.ones((3, 4), np.float32)), np.ones((3, 4), np.float32))


def test_examples_are_zeros_and_for_integers_ones():
    numbers, states, many = examples((X, Port("t", "int64", ("batch",)), Port("n", "float32", ("samples", "batch"))))

    assert (numbers.dtype, numbers.tolist()) == (torch.float32, [[0.0] * 4] * TRACED_BATCH)
    assert (states.dtype, states.tolist()) == (torch.int64, [1] * TRACED_BATCH)
    assert many.shape == (TRACED_BATCH + 1, TRACED_BATCH)


def test_tracing_says_nothing_and_leaves_the_exporters_logger_as_it_was(capfd):
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    traced(lambda x: x + 1)

    assert logger.level == before
    assert capfd.readouterr() == ("", "")
