import numpy as np
import onnx
import pytest

from gen_export.export.graph_arrays import NAMESPACE, GraphArray, constant, emit, recording
from gen_export.export.subgraphs import choose, either, inline, loop
from tests.export.analytic import OPSETS, evaluate, graph_of, parse, serialized, session

xp = NAMESPACE
DOUBLE = """
    <ir_version: 8, opset_import: ["" : 18]>
    part (float[n] x) => (float[n] y) { z = Mul(x, weight) y = Add(z, z) }
"""


@pytest.mark.parametrize(("chosen", "expected"), [(1.0, 10.0), (0.0, 3.0)])
def test_either_gives_the_chosen_branch(chosen: float, expected: float) -> None:
    inputs = {"c": np.array(chosen), "x": np.array([3.0])}

    def compute(c: GraphArray, x: GraphArray) -> GraphArray:
        return either(c > 0.5, lambda: [x * 3.0 + 1.0], lambda: [emit("Identity", x)])

    (found,) = evaluate(graph_of(compute, inputs), inputs)
    assert found.tolist() == [expected]


@pytest.mark.parametrize("by", ["onnxruntime", "reference"])
def test_either_computes_only_the_chosen_branch(by: str) -> None:
    """The other branch reads a row that is not there, which is an error wherever it is computed."""
    inputs = {"c": np.array(1.0), "x": np.zeros((0, 2)), "i": np.array([0])}

    def compute(c: GraphArray, x: GraphArray, i: GraphArray) -> GraphArray:
        return either(c > 0.5, lambda: [xp.reshape(x, (-1,))], lambda: [xp.reshape(x[i], (-1,))])

    model = graph_of(compute, inputs)
    (found,) = evaluate(model, inputs, by)

    assert found.shape == (0,)
    with pytest.raises(Exception, match=r"idx=0 must be within|take from an empty axes"):
        evaluate(model, {**inputs, "c": np.array(0.0)}, by)


def test_a_branch_may_hold_another_choice() -> None:
    inputs = {"c": np.array(1.0), "x": np.array([3.0])}

    def compute(c, x):
        inner = lambda: either(c > 2.0, lambda: [x * 100.0], lambda: [x * 10.0])  # noqa: E731
        return either(c > 0.5, inner, lambda: [x * 1.0])

    model = graph_of(compute, inputs)
    assert [float(evaluate(model, {**inputs, "c": np.array(c)})[0][0]) for c in (0.0, 1.0, 3.0)] == [3.0, 30.0, 300.0]


@pytest.mark.parametrize(("number", "expected"), [(0, [3.0, 4.0]), (1, [6.0, 3.0]), (2, [9.0, 0.0]), (7, [9.0, 0.0])])
def test_choose_gives_all_values_of_the_branch_of_its_number(number: int, expected: list[float]) -> None:
    inputs = {"n": np.array(number), "x": np.array([3.0])}

    def compute(n: GraphArray, x: GraphArray) -> list[GraphArray]:
        return choose(n, [lambda: [x, x + 1.0], lambda: [x * 2.0, x], lambda: [x * 3.0, x * 0.0]])

    assert [float(value[0]) for value in evaluate(graph_of(compute, inputs), inputs)] == expected


@pytest.mark.parametrize("trips", [0, 1, 5])
@pytest.mark.parametrize("by", ["onnxruntime", "reference"])
def test_a_loop_applies_its_body_in_order(trips: int, by: str) -> None:
    inputs = {"n": np.array(trips), "x": np.array([1.0, -2.0])}

    def compute(n, x):
        return loop(n, [x], [("width",)], lambda j, x: [x * 2.0 + xp.astype(j, np.float64)])

    expected = inputs["x"]
    for j in range(trips):
        expected = expected * 2.0 + j
    (found,) = evaluate(graph_of(compute, inputs, shape=(2,)), inputs, by)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("by", ["onnxruntime", "reference"])
def test_a_loop_may_carry_states_of_several_types_and_shapes(by: str) -> None:
    """Fibonacci numbers, and beside them where each next one is written."""
    inputs = {"n": np.array(6), "pair": np.array([0, 1]), "row": np.zeros((2, 6))}

    def body(j: GraphArray, pair: GraphArray, row: GraphArray) -> tuple[GraphArray, GraphArray]:
        first, last = (pair[constant([i], np.int64)] for i in (0, 1))
        here = xp.equal(xp.arange(6), j)
        return xp.concat([last, first + last]), xp.where(here, xp.astype(last, np.float64), row)

    model = graph_of(lambda n, pair, row: loop(n, [pair, row], [(2,), (2, 6)], body)[1], inputs, shape=(2, 6))
    assert evaluate(model, inputs, by)[0].tolist() == [[1, 1, 2, 3, 5, 8]] * 2


def test_a_loop_needs_a_shape_for_every_state() -> None:
    with recording("g", 18), pytest.raises(ValueError, match="shorter"):
        loop(constant(2), [constant(1.0), constant(2.0)], [()], lambda j, x, y: [x, y])


def test_a_loop_may_choose_in_its_body_and_see_what_is_outside() -> None:
    inputs = {"n": np.array(6), "x": np.array([0.0]), "y": np.array([5.0])}

    def body(y: GraphArray, j: GraphArray, x: GraphArray) -> list[GraphArray]:
        return either(j > 2, lambda: [x + y], lambda: [x - 1.0])

    model = graph_of(lambda n, x, y: loop(n, [x], [(1,)], lambda j, x: body(y, j, x)), inputs, shape=(1,))
    assert evaluate(model, inputs)[0].tolist() == [-3.0 + 3 * 5.0]


def test_constants_of_a_body_are_initializers_of_the_body() -> None:
    """From the outer graph ONNX Runtime would neither fuse nor pre-pack them."""
    inputs = {"n": np.array(2), "x": np.array([3.0], np.float32)}
    part = parse(DOUBLE, weight=np.array([0.75]))
    model = graph_of(lambda n, x: loop(n, [x], [(1,)], lambda j, x: [inline(part, x)[0] + 0.5]), inputs, shape=(1,))
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


@pytest.mark.parametrize("opset", OPSETS)
def test_what_is_recorded_is_valid_at_its_opset(opset: int) -> None:
    inputs = {"n": np.array(2), "x": np.array([3.0])}

    def compute(n: GraphArray, x: GraphArray) -> GraphArray:
        return either(n > 1, lambda: loop(n, [x], [(1,)], lambda j, x: [x + 1.0]), lambda: [x * 2.0])

    model = graph_of(compute, inputs, opset, (1,))
    proto = onnx.load_from_string(serialized(model))

    assert [(o.domain, o.version) for o in proto.opset_import] == [("", opset)]
    assert proto.ir_version <= 11
    assert evaluate(model, inputs)[0].tolist() == [5.0]
