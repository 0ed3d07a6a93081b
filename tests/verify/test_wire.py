"""The wire format: known bytes, round trips, and nothing but one error for what is no message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from gen_export.verify.wire import FIXED32, FIXED64, MOST_FIELDS, Message, written
from gen_runtime import FileError

WORDS = st.integers(0, 2**64 - 1)
NUMBERS = st.integers(1, 2**29 - 1)


def message(data):
    return Message(data, "a.onnx")


def test_the_examples_of_the_formats_own_description_are_read_and_written():
    assert written(1, 150) == bytes.fromhex("089601")
    assert written(2, b"testing") == bytes.fromhex("120774657374696e67")
    assert message(bytes.fromhex("089601")).integer(1) == 150
    assert message(bytes.fromhex("120774657374696e67")).text(2) == "testing"
    assert message(bytes.fromhex("3206038e029ea705")).integers(6) == [3, 270, 86942]


@given(st.lists(st.tuples(NUMBERS, WORDS | st.binary(max_size=300))))
def test_fields_are_read_as_written_in_their_order(fields):
    read = message(b"".join(written(number, value) for number, value in fields)).fields

    assert [(field.number, field.value) for field in read] == fields
    assert [bytes(field.raw) for field in read] == [written(number, value) for number, value in fields]


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.floats(width=32, allow_nan=False)))
def test_numbers_that_protobuf_writes_are_read(integers, floats):
    tensor = TensorProto(int64_data=integers, float_data=floats, data_location=1)
    read = message(tensor.SerializeToString())

    assert read.integers(7) == integers
    assert memoryview(b"".join(read.chunks(4))).cast("f").tolist() == floats
    assert read.integer(14) == 1


@given(st.lists(st.tuples(NUMBERS, WORDS)), st.lists(WORDS))
def test_integers_are_the_same_packed_or_not(others, words):
    row = b"".join(written(1, word)[1:] for word in words)
    loose = b"".join(written(5, word) for word in words)
    around = b"".join(written(number, word) for number, word in others if number != 5)

    for data in (around + loose, written(5, row) + around):
        assert message(data).words(5).tolist() == words
        assert message(data).integers(5) == [word - 2**64 if word >= 2**63 else word for word in words]


def test_numbers_of_fixed_size_keep_their_bytes():
    data = b"\x0d\x01\x02\x03\x04" + b"\x11" + bytes(range(8))

    assert message(data).chunks(1, FIXED32) == [b"\x01\x02\x03\x04"]
    assert message(data).chunks(2, FIXED64) == [bytes(range(8))]


def test_a_single_field_that_stands_twice_has_the_last_value_and_messages_merge():
    inner = [written(1, b"a") + written(3, 7), written(1, b"b")]
    read = message(written(2, inner[0]) + written(2, inner[1])).message(2)

    assert (read.text(1), read.integer(3)) == ("b", 7)


def test_a_field_that_is_not_there_is_empty():
    assert (message(b"").text(1), message(b"").integer(1), message(b"").message(1).fields) == ("", 0, ())


def test_values_are_views_and_not_copies():
    data = written(1, bytes(1000))

    assert message(data).chunks(1)[0].obj is data


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x08", "it ends inside a number"),
        (b"\x08\xff\xff", "it ends inside a number"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "a number is too long"),
        (b"\x0a\x05abc", "a field of 5 bytes ends after 3"),
        (b"\x0d\x01\x02", "a field of 4 bytes ends after 2"),
        (b"\x00\x01", "a field has the number 0"),
        (written(2**29, 1), f"a field has the number {2**29}"),
        (b"\x0b\x0c", "a field has the wire type 3"),
        (b"\x0f", "a field has the wire type 7"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", f"a field of {2**63 - 1} bytes ends after 0"),
    ],
)
def test_what_is_no_message_is_refused_in_one_line(data, complaint):
    with pytest.raises(FileError) as error:
        message(data).fields  # noqa: B018 - a property that reads

    assert str(error.value) == f"a.onnx: no readable ONNX file: {complaint}"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (b"\x01\xff", "it ends inside a number"),
        (b"\xff" * 10 + b"\x01\x01", "a number is too long"),
        (b"\xff" * 9, "it ends inside a number"),
    ],
)
def test_numbers_side_by_side_that_do_not_end_are_refused(row, complaint):
    with pytest.raises(FileError, match=complaint):
        message(written(5, row)).integers(5)


def test_a_message_of_very_many_fields_is_refused_and_one_of_many_is_read():
    field = written(2**14, 1)

    assert len(message(field * 1000).fields) == 1000
    with pytest.raises(FileError, match=r"^a\.onnx: no readable ONNX file: a message has more than 1048576 fields$"):
        message(field * (MOST_FIELDS + 1)).fields  # noqa: B018 - a property that reads


def test_a_field_of_another_kind_than_expected_is_refused():
    with pytest.raises(FileError, match="field 1 has the wire type 0, expected 2"):
        message(written(1, 7)).text(1)
    with pytest.raises(FileError, match="field 1 has the wire type 5, expected 0"):
        message(b"\x0d\x01\x02\x03\x04").integers(1)
    with pytest.raises(FileError, match="field 1 is a number, expected bytes"):
        message(written(1, 7)).child(message(written(1, 7)).fields[0])
    with pytest.raises(FileError, match="field 1 is not UTF-8 text"):
        message(written(1, b"\xff")).text(1)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_message_or_refused(data):
    read = message(data)
    try:
        fields = read.fields
    except FileError:
        return
    assert b"".join(field.raw for field in fields) == data
