import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from gen_export.export.graph_arrays import (
    NAMESPACE,
    GraphArray,
    constant,
    either,
    emit,
    graph_input,
    inline,
    loop,
    recording,
)
from tests.export.analytic import OPSETS, evaluate, graph_of, parse, serialized, session

xp = NAMESPACE
X = np.array([[-1.5, -0.5, 0.5], [1.5, 2.5, 1e-9]], np.float32)
Y = np.array([[2.0, -4.0, 0.25], [3.0, 7.0, -1.0]], np.float32)
WORDS = np.array([0, 1, 2**32 - 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15], np.uint64)
OTHERS = np.array([2**64 - 1, 7, 2**40 + 3, 2**63, 12345, 2**32], np.uint64)
WHOLE = np.array([0, 5, 7, 2**62 + 1])
DOUBLE = """
    <ir_version: 8, opset_import: ["" : 18]>
    part (float[n] x) => (float[n] y) { z = Mul(x, weight) y = Add(z, z) }
"""

ARITHMETIC = ["add", "sub", "mul", "truediv"]
UNSIGNED = ["add", "sub", "mul", "floordiv", "xor", "or_"]
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[np.ndarray]]] = {
    "clip": (lambda x: x.clip(-1.0, 1.5), lambda x: x.clip(-1.0, 1.5), [X]),
    "clip from below": (lambda x: x.clip(0.0, None), lambda x: x.clip(0.0, None), [X]),
    "clip from above": (lambda x: x.clip(None, 0.0), lambda x: x.clip(None, 0.0), [X]),
    "greater": (lambda x, y: x > y, operator.gt, [X, Y]),
    "greater than a number": (lambda x: x > 0.0, lambda x: x > 0.0, [X]),
    "shift": (lambda x: x >> 27, lambda x: x >> np.uint64(27), [WORDS]),
    "a row": (lambda x, i: x[i], lambda x, i: x[i], [Y, np.array([1, 0, 1])]),
    "the first columns": (lambda x: x[:, :2], lambda x: x[:, :2], [X]),
    "whole division": (lambda x: x // 2, lambda x: x // 2, [WHOLE]),
    "cast to uint64": (lambda x: xp.astype(x, xp.uint64), lambda x: x.astype(np.uint64), [np.array([-1, 0, -(2**63)])]),
    "cast to float64": (lambda x: xp.astype(x, xp.float64), lambda x: x.astype(np.float64), [WORDS >> np.uint64(11)]),
    "cast to float32": (lambda x: xp.astype(x, xp.float32), lambda x: x.astype(np.float32), [X.astype(float) / 3]),
    "cast to bytes": (lambda x: xp.astype(x, xp.uint8), lambda x: x.astype(np.uint8), [np.array([0.0, 127.0, 255.0])]),
    "arange": (lambda x: x * xp.arange(3, dtype=xp.uint64), lambda x: x * np.arange(3, dtype=np.uint64), [WORDS[:1]]),
    "arange to an input": (xp.arange, np.arange, [np.array(4)]),
    "reshape": (lambda x: xp.reshape(x, (-1, 2)), lambda x: x.reshape(-1, 2), [X]),
    "concat": (lambda x, y: xp.concat([x, y], axis=1), lambda x, y: np.concatenate([x, y], 1), [X, Y]),
    "concat of rows": (lambda x, y: xp.concat([x, y]), lambda x, y: np.concatenate([x, y]), [X, Y]),
    "permute": (lambda x: xp.permute_dims(x, (1, 0)), np.transpose, [X]),
    "sqrt": (xp.sqrt, np.sqrt, [abs(Y).astype(float)]),
    "log": (xp.log, np.log, [abs(Y).astype(float)]),
    "cos": (xp.cos, np.cos, [Y.astype(float)]),
    "sin": (xp.sin, np.sin, [Y.astype(float)]),
    "round to even": (xp.round, np.round, [X]),
}


def check(record: Callable[..., Any], direct: Callable[..., Any], arrays: list[np.ndarray], opset: int = 18) -> None:
    """The graph gives the numbers and the element type of NumPy."""
    inputs = {f"x{i}": array for i, array in enumerate(arrays)}
    (found,) = evaluate(graph_of(record, inputs, opset), inputs)
    expected = direct(*arrays)

    assert found.dtype == expected.dtype
    # The same IEEE operation; log, sin and cos, tried in float64 with answers of about 1, may differ in the last unit.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.0**-52 if expected.dtype == np.float64 else 0)


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_of_floats_is_that_of_numpy(name: str) -> None:
    act = getattr(operator, name)

    check(act, act, [X, Y])
    check(lambda x: act(x, 3.0), lambda x: act(x, np.float32(3.0)), [X])
    check(lambda x: act(3.0, x), lambda x: act(np.float32(3.0), x), [X])


@pytest.mark.parametrize("name", UNSIGNED)
def test_arithmetic_of_uint64_is_modulo_two_to_the_64(name: str) -> None:
    act = getattr(operator, name)

    check(act, act, [WORDS, OTHERS])
    check(lambda x: act(x, 0x94D049BB133111EB), lambda x: act(x, np.uint64(0x94D049BB133111EB)), [WORDS])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("opset", OPSETS)
def test_a_function_is_that_of_numpy(name: str, opset: int) -> None:
    check(*FUNCTIONS[name], opset=opset)


def test_every_operator_and_function_is_tried() -> None:
    public = {name for name, value in vars(type(NAMESPACE)).items() if isinstance(value, staticmethod)}
    tried = {name.split()[0] for name in FUNCTIONS}

    assert public == {"astype", "permute_dims", *(tried & public)}
    operators = {name.strip("_") for name in vars(GraphArray) if name.startswith("__")}
    named = {"init", "array_namespace", "module", "doc", "dict", "weakref", "firstlineno", "static_attributes"}
    reverse = {"radd", "rsub", "rmul", "rtruediv"}
    assert operators - named == {*ARITHMETIC, *reverse, "floordiv", "xor", "or", "rshift", "gt", "getitem"}


def test_values_know_their_type_before_anything_runs() -> None:
    with recording("g", 18):
        x = graph_input("x", np.float32, ("n",))
        assert (x * 2.0).dtype == np.float32
        assert (x > 0.0).dtype == np.bool_
        assert xp.astype(x, np.uint8).dtype == np.uint8
        assert xp.arange(3).dtype == np.int64
        assert xp.arange(3, dtype=xp.uint64).dtype == np.uint64


@pytest.mark.parametrize("opset", OPSETS)
def test_small_and_nearly_neutral_constants_stay(opset: int) -> None:
    """Optimisers drop `+ 1e-8` and `* 0.999995`; Adam's epsilon and factors of a schedule are such numbers."""
    inputs = {"x": np.zeros(2)}
    model = graph_of(lambda x: (x + 1.0) * 0.999995 + 1e-8, inputs, opset)
    (found,) = evaluate(model, inputs)

    np.testing.assert_array_equal(found, np.full(2, 0.999995 + 1e-8))
    assert {float(v.const_value.numpy()) for v in model.graph.initializers.values()} == {1.0, 0.999995, 1e-8}


def test_small_constants_stay_in_float32() -> None:
    inputs = {"x": np.zeros(2, np.float32)}
    (found,) = evaluate(graph_of(lambda x: (x + 1e-8) / 1e-8 * 0.999995, inputs), inputs)

    np.testing.assert_array_equal(found, np.full(2, np.float32(0.999995)))


def test_a_whole_constant_keeps_all_its_bits() -> None:
    inputs = {"x": np.zeros(1, np.uint64)}
    (found,) = evaluate(graph_of(lambda x: x + 0x9E3779B97F4A7C15, inputs), inputs)

    assert found.tolist() == [0x9E3779B97F4A7C15]


@pytest.mark.parametrize(("chosen", "expected"), [(1.0, 10.0), (0.0, 3.0)])
def test_either_gives_the_chosen_branch(chosen: float, expected: float) -> None:
    inputs = {"c": np.array(chosen), "x": np.array([3.0])}

    def compute(c: GraphArray, x: GraphArray) -> GraphArray:
        return either(c > 0.5, lambda: x * 3.0 + 1.0, lambda: emit("Identity", x))

    (found,) = evaluate(graph_of(compute, inputs), inputs)
    assert found.tolist() == [expected]


@pytest.mark.parametrize("by", ["onnxruntime", "reference"])
def test_either_computes_only_the_chosen_branch(by: str) -> None:
    """The other branch reads a row that is not there, which is an error wherever it is computed."""
    inputs = {"c": np.array(1.0), "x": np.zeros((0, 2)), "i": np.array([0])}

    def compute(c: GraphArray, x: GraphArray, i: GraphArray) -> GraphArray:
        return either(c > 0.5, lambda: xp.reshape(x, (-1,)), lambda: xp.reshape(x[i], (-1,)))

    model = graph_of(compute, inputs)
    (found,) = evaluate(model, inputs, by)

    assert found.shape == (0,)
    with pytest.raises(Exception, match=r"idx=0 must be within|take from an empty axes"):
        evaluate(model, {**inputs, "c": np.array(0.0)}, by)


def test_a_branch_may_hold_another_choice() -> None:
    inputs = {"c": np.array(1.0), "x": np.array([3.0])}

    def compute(c, x):
        inner = lambda: either(c > 2.0, lambda: x * 100.0, lambda: x * 10.0)  # noqa: E731
        return either(c > 0.5, inner, lambda: x * 1.0)

    model = graph_of(compute, inputs)
    assert [float(evaluate(model, {**inputs, "c": np.array(c)})[0][0]) for c in (0.0, 1.0, 3.0)] == [3.0, 30.0, 300.0]


@pytest.mark.parametrize("trips", [0, 1, 5])
@pytest.mark.parametrize("by", ["onnxruntime", "reference"])
def test_a_loop_applies_its_body_in_order(trips: int, by: str) -> None:
    inputs = {"n": np.array(trips), "x": np.array([1.0, -2.0])}

    def compute(n, x):
        return loop(n, x, ("width",), lambda j, x: x * 2.0 + xp.astype(j, np.float64))

    expected = inputs["x"]
    for j in range(trips):
        expected = expected * 2.0 + j
    (found,) = evaluate(graph_of(compute, inputs, shape=(2,)), inputs, by)
    np.testing.assert_array_equal(found, expected)


def test_a_loop_may_choose_in_its_body_and_see_what_is_outside() -> None:
    inputs = {"n": np.array(6), "x": np.array([0.0]), "y": np.array([5.0])}

    def body(y: GraphArray, j: GraphArray, x: GraphArray) -> GraphArray:
        return either(j > 2, lambda: x + y, lambda: x - 1.0)

    model = graph_of(lambda n, x, y: loop(n, x, (1,), lambda j, x: body(y, j, x)), inputs, shape=(1,))
    assert evaluate(model, inputs)[0].tolist() == [-3.0 + 3 * 5.0]


def test_constants_of_a_body_are_initializers_of_the_body() -> None:
    """From the outer graph ONNX Runtime would neither fuse nor pre-pack them."""
    inputs = {"n": np.array(2), "x": np.array([3.0], np.float32)}
    part = parse(DOUBLE, weight=np.array([0.75]))
    model = graph_of(lambda n, x: loop(n, x, (1,), lambda j, x: inline(part, x)[0] + 0.5), inputs, shape=(1,))
    (node,) = [node for node in model.graph if node.op_type == "Loop"]
    inner = {name: v.const_value.numpy().tolist() for name, v in node.attributes["body"].value.initializers.items()}
    outer = [v.const_value.numpy().tolist() for v in model.graph.initializers.values()]

    assert sorted(map(str, inner.values())) == ["0.5", "[0.75]"]
    assert outer == [True]
    assert evaluate(model, inputs)[0].tolist() == [(3 * 1.5 + 0.5) * 1.5 + 0.5]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_model_may_be_inlined_again_and_again(times: int) -> None:
    inputs = {"x": np.array([1.0, 2.0], np.float32)}
    part = parse(DOUBLE, weight=np.array([1.5]))

    def compute(x: GraphArray) -> GraphArray:
        for _ in range(times):
            (x,) = inline(part, x)
        return x

    model = graph_of(compute, inputs)
    np.testing.assert_array_equal(evaluate(model, inputs)[0], inputs["x"] * 3.0**times)
    assert len(model.graph.initializers) == 1
    assert len({output.name for node in model.graph for output in node.outputs}) == 2 * times


def test_two_models_of_one_name_keep_their_own_weights() -> None:
    inputs = {"x": np.array([1.0], np.float32)}
    twice, thrice = parse(DOUBLE, weight=np.array([1.0])), parse(DOUBLE, weight=np.array([1.5]))
    model = graph_of(lambda x: inline(thrice, inline(twice, x)[0])[0], inputs)

    assert evaluate(model, inputs)[0].tolist() == [6.0]
    assert len(model.graph.initializers) == 2


def test_inlining_leaves_the_model_as_it_was() -> None:
    part = parse(DOUBLE, weight=np.array([1.5]))
    before = serialized(part)
    inputs = {"x": np.array([1.0], np.float32)}
    graph_of(lambda x: inline(part, x)[0], inputs)

    assert serialized(part) == before
    assert session(part).run(None, inputs)[0].tolist() == [3.0]


def test_inlining_keeps_branches_and_what_they_see() -> None:
    text = """
        <ir_version: 8, opset_import: ["" : 18]>
        part (float[n] x, bool b) => (float[n] y) {
            z = Mul(x, weight)
            y = If(b) <
                then_branch = yes () => (float[n] p) { p = Add(z, weight) },
                else_branch = no () => (float[n] q) { q = Sub(z, x) }
            >
        }
    """
    inputs = {"x": np.array([2.0], np.float32), "b": np.array(True)}
    part = parse(text, weight=np.array([4.0]))
    model = graph_of(lambda x, b: inline(part, inline(part, x, b)[0], b)[0], inputs)

    assert evaluate(model, inputs)[0].tolist() == [(2 * 4 + 4) * 4 + 4]
    assert evaluate(model, {**inputs, "b": np.array(False)})[0].tolist() == [2 * 3 * 3]


def test_inlining_needs_every_input() -> None:
    part = parse(DOUBLE, weight=np.array([1.5]))
    with recording("g", 18), pytest.raises(ValueError, match="argument"):
        inline(part)


def test_an_input_with_a_default_may_be_left_out() -> None:
    with recording("g", 18) as graph:
        x = graph_input("x", np.float32, ("n",))
        k = graph_input("k", np.int64, (), default=3)
        y = x * xp.astype(k, np.float32)
        y.value.name, y.value.shape = "y", ir.Shape(["n"])
        graph.outputs.append(y.value)
    run = session(ir.Model(graph, ir_version=8)).run
    x = np.array([1.0, 2.0], np.float32)

    assert run(None, {"x": x})[0].tolist() == [3.0, 6.0]
    assert run(None, {"x": x, "k": np.array(-1)})[0].tolist() == [-1.0, -2.0]


def test_nodes_go_to_the_innermost_graph() -> None:
    with recording("outer", 18) as outer:
        x = graph_input("x", np.float32, ())
        with recording("inner", 18) as inner:
            constant(1.0)
            x + x
        x * x

    assert [node.op_type for node in inner] == ["Add"]
    assert [node.op_type for node in outer] == ["Mul"]
    assert (len(inner.initializers), len(outer.initializers)) == (1, 0)


def test_nothing_is_recorded_outside_a_graph() -> None:
    with pytest.raises(LookupError):
        constant(1.0)


def test_a_recording_ends_with_its_block_even_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="stop"), recording("g", 18):
        raise RuntimeError("stop")
    with pytest.raises(LookupError):
        constant(1.0)


@pytest.mark.parametrize("opset", OPSETS)
def test_what_is_recorded_is_valid_at_its_opset(opset: int) -> None:
    inputs = {"n": np.array(2), "x": np.array([3.0])}

    def compute(n: GraphArray, x: GraphArray) -> GraphArray:
        return either(n > 1, lambda: loop(n, x, (1,), lambda j, x: x + 1.0), lambda: x * 2.0)

    model = graph_of(compute, inputs, opset, (1,))
    proto = onnx.load_from_string(serialized(model))

    assert [(o.domain, o.version) for o in proto.opset_import] == [("", opset)]
    assert proto.ir_version <= 11
    assert evaluate(model, inputs)[0].tolist() == [5.0]
