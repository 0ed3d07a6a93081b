"""Ports, and the arrays that they take or refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_runtime import GenRuntimeError, Port, PortError
from gen_runtime.inputs import check_inputs

IMAGE = Port("image", "float32", ("batch", 1, 2), minimum=-1, maximum=1)
TIME = Port("t", "int64", ("batch",), minimum=1, maximum=1000)
SEED = Port("seed", "int64", ())
ETA = Port("eta", "float32", (), minimum=0, maximum=1, default=0, optional=True)
LEVEL = Port("level", "uint8", ())
MASK = Port("mask", "bool", ("batch",))
FREE = Port("x", "float32", ())
SOLVER = Port("solver", "int64", (), minimum=0, maximum=1, default=0, optional=True, choices=("ddim", "heun"))

GOOD_IMAGE = np.zeros((3, 1, 2), np.float32)


def checked(port, value):
    return check_inputs("graph", [port], {port.name: value})[port.name]


@pytest.mark.parametrize("port", [IMAGE, TIME, SEED, ETA, MASK, SOLVER], ids=lambda port: port.name)
def test_a_port_survives_the_document(port):
    assert Port.from_json(port.to_json()) == port


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": "a b"}, "identifier"),
        ({"name": 3}, "identifier"),
        ({"dtype": "float8"}, "dtype"),
        ({"dtype": []}, "dtype"),
        ({"shape": [0]}, "shape"),
        ({"shape": [True]}, "shape"),
        ({"shape": ["a-b"]}, "shape"),
        ({"minimum": "0"}, "minimum"),
        ({"maximum": float("inf")}, "maximum"),
        ({"default": True}, "default"),
        ({"description": 1}, "description"),
        ({"optional": 1}, "optional"),
        ({"choices": ["a b"]}, "choices"),
        ({"choices": [1]}, "choices"),
    ],
)
def test_a_malformed_port_is_refused_by_field(change, word):
    with pytest.raises(ValueError, match=word):
        Port.from_json(SEED.to_json() | change)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_is_a_seed(seed):
    array = checked(SEED, seed)

    assert (array.dtype, array.shape, int(array)) == (np.int64, (), seed)


@given(st.one_of(st.integers(max_value=-(2**63) - 1), st.integers(min_value=2**63)))
def test_no_other_integer_is_a_seed(seed):
    with pytest.raises(PortError, match="graph: seed: expected int64, found"):
        checked(SEED, seed)


@pytest.mark.parametrize(
    ("port", "value", "expected"),
    [
        (ETA, 0.5, np.float32(0.5)),
        (ETA, 1, np.float32(1)),
        (ETA, np.float64(0.1), np.float32(0.1)),
        (ETA, np.float16(0.5), np.float32(0.5)),
        (LEVEL, 255, np.uint8(255)),
        (SEED, np.uint64(7), np.int64(7)),
        (SEED, np.int32(-7), np.int64(-7)),
        (SEED, np.array(5, ">i8"), np.int64(5)),
        (MASK, [True, False], np.array([True, False])),
        (TIME, [1, 2], np.array([1, 2])),
        (IMAGE, [[[0.5, 1.0]]], np.array([[[0.5, 1.0]]], np.float32)),
        (IMAGE, np.zeros((3, 2, 1)).transpose(0, 2, 1), GOOD_IMAGE),
    ],
)
def test_a_value_that_loses_nothing_is_converted(port, value, expected):
    array = checked(port, value)

    assert array.dtype == port.dtype
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert np.array_equal(array, expected)


@pytest.mark.parametrize(
    ("port", "value", "message"),
    [
        (SEED, 1.0, "seed: expected int64, found 1.0"),
        (SEED, True, "seed: expected int64, found True"),
        (SEED, "7", "seed: expected int64, found '7'"),
        (SEED, None, "seed: expected int64, found None"),
        (SOLVER, "euler", "solver: expected one of ddim, heun, found 'euler'"),
        (SOLVER, 2, "solver: expected at most 1, found 2"),
        (LEVEL, 256, "level: expected uint8, found 256"),
        (LEVEL, -1, "level: expected uint8, found -1"),
        (FREE, 2**24 + 1, "x: expected float32, found 16777217"),
        (FREE, 1e39, "x: expected finite float32 values, found NaN or infinity"),
        (FREE, float("nan"), "x: expected finite float32 values"),
        (ETA, 1j, "eta: expected float32, found 1j"),
        (ETA, 1.5, "eta: expected at most 1, found 1.5"),
        (ETA, -1, "eta: expected at least 0, found -1"),
        (TIME, [0, 1], "t: expected at least 1, found 0"),
        (TIME, [1, 1001], "t: expected at most 1000, found 1001"),
        (TIME, np.array([1.0]), "t: expected int64, found an array of float64"),
        (TIME, np.array([2**64 - 1], np.uint64), "t: expected int64, found an array of uint64"),
        (TIME, [[1], [1, 2]], "t: expected int64, found lists of unequal lengths"),
        (MASK, [0, 1], "mask: expected bool, found an array of int64"),
        (IMAGE, np.zeros((3, 1, 2), np.uint8), "image: expected float32, found an array of uint8"),
        (IMAGE, np.full((3, 1, 2), np.nan), "image: expected finite float32"),
        (IMAGE, np.zeros((3, 2, 2)), r"image: expected shape \[batch=3, 1, 2\], found \[3, 2, 2\]"),
        (IMAGE, np.zeros((1, 2)), r"image: expected shape \[batch, 1, 2\], found \[1, 2\]"),
        (IMAGE, np.zeros((0, 1, 2)), r"image: expected shape \[batch, 1, 2\], found \[0, 1, 2\]"),
        (SEED, [7], r"seed: expected shape \[\], found \[1\]"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_by_name(port, value, message):
    with pytest.raises(PortError, match=f"^graph: {message}") as error:
        checked(port, value)

    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, GenRuntimeError)
    assert "\n" not in str(error.value)


def test_a_choice_is_given_by_name_or_number():
    assert [int(checked(SOLVER, value)) for value in ("ddim", "heun", 1)] == [0, 1, 1]


def test_a_port_of_an_older_document_has_no_choices():
    fields = SEED.to_json()
    del fields["choices"]
    assert Port.from_json(fields) == SEED


def test_free_axes_must_agree():
    with pytest.raises(PortError, match=r"graph: t: expected shape \[batch=3\], found \[2\]"):
        check_inputs("graph", [IMAGE, TIME], {"image": GOOD_IMAGE, "t": [1, 2]})


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(PortError, match="graph has no input 'stepz': it takes seed, eta"):
        check_inputs("graph", [SEED, ETA], {"seed": 1, "stepz": 3})


def test_a_missing_input_is_named_and_an_optional_one_is_not():
    with pytest.raises(PortError, match=r"graph needs image, t$"):
        check_inputs("graph", [IMAGE, ETA, TIME], {})


def test_a_good_array_is_not_copied():
    assert np.shares_memory(checked(IMAGE, GOOD_IMAGE), GOOD_IMAGE)
