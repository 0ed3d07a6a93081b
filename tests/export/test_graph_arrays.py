import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from gen_export.export.graph_arrays import (
    NAMESPACE,
    GraphArray,
    constant,
    graph_input,
    recording,
    zero_rows,
)
from tests.export.analytic import OPSETS, evaluate, graph_of, session

xp = NAMESPACE
X = np.array([[-1.5, -0.5, 0.5], [1.5, 2.5, 1e-9]], np.float32)
Y = np.array([[2.0, -4.0, 0.25], [3.0, 7.0, -1.0]], np.float32)
WORDS = np.array([0, 1, 2**32 - 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15], np.uint64)
OTHERS = np.array([2**64 - 1, 7, 2**40 + 3, 2**63, 12345, 2**32], np.uint64)
WHOLE = np.array([0, 5, 7, 2**62 + 1])

ARITHMETIC = ["add", "sub", "mul", "truediv"]
COMPARISONS = ["gt", "ge", "le"]
UNSIGNED = ["add", "sub", "mul", "floordiv", "xor", "or_"]
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[np.ndarray]]] = {
    "clip": (lambda x: x.clip(-1.0, 1.5), lambda x: x.clip(-1.0, 1.5), [X]),
    "clip from below": (lambda x: x.clip(0.0, None), lambda x: x.clip(0.0, None), [X]),
    "clip from above": (lambda x: x.clip(None, 0.0), lambda x: x.clip(None, 0.0), [X]),
    "greater": (lambda x, y: x > y, operator.gt, [X, Y]),
    "greater than a number": (lambda x: x > 0.0, lambda x: x > 0.0, [X]),
    "at least": (lambda x, y: x >= y, operator.ge, [X, X[:, ::-1].copy()]),
    "at most": (lambda x, y: x <= y, operator.le, [X, X[:, ::-1].copy()]),
    "at most a number": (lambda x: x <= 0.5, lambda x: x <= 0.5, [X]),
    "shift": (lambda x: x >> 27, lambda x: x >> np.uint64(27), [WORDS]),
    "a row": (lambda x, i: x[i], lambda x, i: x[i], [Y, np.array([1, 0, 1])]),
    "a column": (lambda x, i: x[:, i], lambda x, i: x[:, i], [Y, np.array(2)]),
    "the first columns": (lambda x: x[:, :2], lambda x: x[:, :2], [X]),
    "whole division": (lambda x: x // 2, lambda x: x // 2, [WHOLE]),
    "remainder": (lambda x: x % 3, lambda x: x % 3, [np.arange(7)]),
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
    "where": (lambda x, y: xp.where(x > y, x, y), lambda x, y: np.where(x > y, x, y), [X, Y]),
    "where a number": (lambda x: xp.where(x > 0.0, x, -np.inf), lambda x: np.where(x > 0.0, x, -np.inf), [Y]),
    "equal": (xp.equal, np.equal, [WHOLE, np.array(7)]),
    "equal to a number": (lambda x: xp.equal(x, 5), lambda x: np.equal(x, 5), [WHOLE]),
    "max": (lambda x: xp.max(x, axis=1), lambda x: x.max(1), [X]),
    "max of columns": (
        lambda x: xp.max(x, axis=0, keepdims=True),
        lambda x: x.max(0, keepdims=True),
        [Y.astype(float)],
    ),
    "logical_or": (lambda x, y: xp.logical_or(x > 0.5, y > 0.5), lambda x, y: (x > 0.5) | (y > 0.5), [X, Y]),
    "sum": (lambda x: xp.sum(x, axis=1), lambda x: x.sum(1), [Y.astype(float)]),
    "sum of columns": (lambda x: xp.sum(x, axis=0, keepdims=True), lambda x: x.sum(0, keepdims=True), [Y]),
    "cumulative_sum": (lambda x: xp.cumulative_sum(x, axis=1), lambda x: x.cumsum(1), [Y.astype(float)]),
    "sort": (xp.sort, np.sort, [Y.astype(float)]),
    "sort descending": (
        lambda x: xp.sort(x, axis=1, descending=True),
        lambda x: np.sort(x, axis=1)[:, ::-1],
        [Y],
    ),
    "exp": (xp.exp, np.exp, [-abs(Y).astype(float)]),
    "sqrt": (xp.sqrt, np.sqrt, [abs(Y).astype(float)]),
    "log": (xp.log, np.log, [abs(Y).astype(float)]),
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


def test_a_whole_number_divided_by_an_array_is_the_floor() -> None:
    check(lambda x: 1000 // x, lambda x: 1000 // x, [np.array([1, 3, 1001])])


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
    reverse = {"radd", "rsub", "rmul", "rtruediv", "rfloordiv"}
    others = {"floordiv", "mod", "xor", "or", "rshift", "getitem"}
    assert operators - named == {*ARITHMETIC, *reverse, *others, *COMPARISONS}


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


@pytest.mark.parametrize(("shape", "dtype"), [((), np.int64), ((3,), np.float32), ((2, 1, 4), np.float64)])
def test_there_are_zeros_for_every_row(shape: tuple[int, ...], dtype: Any) -> None:
    inputs = {"x": np.ones((5, 2))}
    (found,) = evaluate(graph_of(lambda x: zero_rows(x, shape, dtype), inputs), inputs)

    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.zeros((5, *shape)))


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
