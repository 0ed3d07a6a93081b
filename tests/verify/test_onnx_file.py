"""Whole ONNX files: the metadata, the hash against changes, the edits against NumPy, and broken files."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.verify import onnx_file
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.wire import written
from gen_runtime import FileError, Port
from gen_runtime.session import open_bytes

H, W = (Port(name, "float32", ("batch", 3)) for name in ("h", "w"))


def without(data, key):
    """The model without one entry of its metadata, as the package onnx writes it."""
    model = onnx.load_from_string(data)
    kept = [entry for entry in model.metadata_props if entry.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model.SerializeToString(deterministic=True)


@pytest.mark.parametrize(("key", "value"), [("author", "you"), ("new", "é\n" * 1000), ("author", "")])
def test_one_entry_of_the_metadata_changes_and_nothing_else(walk_bytes, key, value):
    changed = OnnxFile(walk_bytes, "a.onnx").with_metadata(key, value)

    model = onnx.load_from_string(changed.data)
    entries = [(entry.key, entry.value) for entry in model.metadata_props]
    assert changed.metadata == dict(entries) == OnnxFile(walk_bytes, "a.onnx").metadata | {key: value}
    assert len(entries) == len(dict(entries))
    assert without(changed.data, key) == without(walk_bytes, key)


def test_the_other_bytes_stay_as_they_are_even_where_protobuf_would_write_them_otherwise(walk_bytes):
    strange = b"\x08\x8a\x80\x00" + written(999, b"unknown") + walk_bytes + written(14, written(1, b"author"))
    entry = written(14, written(1, b"author") + written(2, b"me"))
    assert strange.count(entry) == 1

    changed = OnnxFile(strange, "a.onnx").with_metadata("author", "you").data

    rest = strange.replace(entry, b"").removesuffix(written(14, written(1, b"author")))
    assert changed == rest + written(14, written(1, b"author") + written(2, b"you"))


def test_the_hash_stays_with_the_metadata_and_who_wrote_the_file(walk_model):
    before = hash_of(walk_model)
    walk_model.metadata_props[0].value = "other"
    walk_model.producer_name, walk_model.producer_version, walk_model.doc_string = "other", "2", "words"

    assert hash_of(walk_model) == before == hash_of(onnx.load_from_string(walk_model.SerializeToString()))


def hash_of(model):
    return OnnxFile(model.SerializeToString(), "a.onnx").weights_hash()


def body(model):
    return model.graph.node[2].attribute[0].g


def _change_weight(model):
    model.graph.initializer[3].float_data[1] = np.nextafter(np.float32(-2), np.float32(0))


def _change_nested_weight(model):
    branch = body(model).node[4].attribute[0].g
    branch.initializer[0].float_data[0] = 0.25


def _change_default(model):
    model.graph.initializer[0].float_data[0] = 0.75


def _change_operator(model):
    model.graph.node[0].op_type = "Sub"


def _change_nested_operator(model):
    body(model).node[1].op_type = "Sub"


def _change_attribute(model):
    body(model).node[2].attribute[0].i = 1


def _change_opset(model):
    model.opset_import[0].version = 17


def _change_version(model):
    model.ir_version = 9


def _change_input(model):
    model.graph.input[0].name = "z"


def _change_output(model):
    model.graph.output[0].name = "w"


def _swap_inputs(model):
    model.graph.node[0].input[:] = model.graph.node[0].input[::-1]


CHANGES = [value for name, value in sorted(globals().items()) if name.startswith(("_change_", "_swap_"))]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_hash_goes_with_anything_that_may_change_what_is_computed(walk_model, change):
    before = hash_of(walk_model)
    change(walk_model)

    assert hash_of(walk_model) != before


def run(file, **inputs):
    session = open_bytes(file.data, file.source, threads=1)
    outputs = session.run(None, {name: np.asarray(value) for name, value in inputs.items()})
    return dict(zip((output.name for output in session.get_outputs()), outputs, strict=True))


@pytest.fixture
def file(walk_path):
    return OnnxFile.read(walk_path)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


def test_values_on_the_way_become_outputs_beside_the_declared_ones(file, walk, x):
    exposed = file.expose([W, H])
    found, expected = run(exposed, x=x), walk(x)

    assert list(found) == ["y", "h", "w"]
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])
    onnx.checker.check_model(onnx.load_from_string(exposed.data), full_check=True)
    assert exposed.graph.outputs == ["y", "h", "w"]


@pytest.mark.parametrize("names", ["w", "h", "hw"])
def test_a_value_put_in_place_is_what_the_rest_of_the_graph_and_its_loop_read(file, walk, x, names):
    ports = [port for port in (H, W) if port.name in names]
    put = {name: np.random.default_rng(7).standard_normal((4, 3)).astype(np.float32) for name in names}
    spliced = file.substitute(ports)

    found = run(spliced, x=x, **put)

    np.testing.assert_array_equal(found["y"], walk(x, **put)["y"])
    assert list(found) == (["y"] if "h" in names else ["y", "h"])
    assert spliced.graph.inputs == ["x", "gain", *(port.name for port in ports)]
    onnx.checker.check_model(onnx.load_from_string(spliced.data), full_check=True)


def test_edits_may_follow_one_another_in_any_order(file, walk, x):
    h = -x
    expected = walk(x, h=h)

    for edited in (file.substitute([H]).expose([W]), file.expose([W]).substitute([H])):
        found = run(edited, x=x, h=h)
        assert {name: value.tolist() for name, value in found.items()} == {
            name: expected[name].tolist() for name in ("y", "w")
        }


def test_an_edit_leaves_the_file_it_was_made_from(file, walk_bytes):
    file.substitute([H]).expose([W])

    assert file.data == walk_bytes


def test_a_value_that_the_main_graph_does_not_compute_is_refused(file):
    for name in ("moved", "nothing"):  # `moved` is a value of the loop's body
        complaint = rf"walk\.onnx: expected its main graph to compute '{name}', found no such value"
        with pytest.raises(FileError, match=complaint):
            file.expose([Port(name, "float32", ())])
        with pytest.raises(FileError, match=complaint):
            file.substitute([Port(name, "float32", ())])


def test_an_input_and_an_initializer_can_be_read_but_not_replaced(file, x):
    shift = Port("shift", "float32", (3,))

    assert run(file.expose([shift]), x=x)["shift"].tolist() == [1, -2, 3]
    with pytest.raises(FileError, match="to compute 'shift'"):
        file.substitute([shift])


def read_everything(file):
    """Asks the reader for all it can tell of a file."""
    file.metadata  # noqa: B018 - a property that reads
    file.weights_hash()
    file.with_metadata("author", "you")
    for graph in file.graphs():
        assert [graph.inputs, graph.outputs, graph.initializers]
        for node in graph.nodes:
            assert [node.op_type, node.inputs, node.outputs, node.attributes]
    file.substitute([W]).expose([H])


def require_read_or_refused(data):
    try:
        read_everything(OnnxFile(data, "a.onnx"))
    except FileError as error:
        message = str(error)
    else:
        return
    assert message.startswith("a.onnx: ")
    assert "\n" not in message


def test_a_whole_file_is_read_to_its_end(walk_bytes):
    read_everything(OnnxFile(walk_bytes, "a.onnx"))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_by_name(data):
    require_read_or_refused(data)
    require_read_or_refused(written(7, data))


@given(st.data())
def test_a_file_cut_off_anywhere_is_refused_by_name(walk_bytes, data):
    require_read_or_refused(walk_bytes[: data.draw(st.integers(0, len(walk_bytes) - 1))])


@given(st.data())
def test_a_file_with_changed_bytes_is_read_or_refused_by_name(walk_bytes, data):
    changed = bytearray(walk_bytes)
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    require_read_or_refused(bytes(changed))


def test_a_path_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"none\.onnx: cannot be read: No such file"):
        OnnxFile.read(tmp_path / "none.onnx")
    with pytest.raises(FileError, match="cannot be read: Is a directory"):
        OnnxFile.read(tmp_path)


def test_a_file_larger_than_protobuf_allows_is_not_read(tmp_path):
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(onnx_file.LARGEST + 1)  # sparse: it takes no room

    with pytest.raises(FileError, match="expected at most 2147483647 bytes, found 2147483648"):
        OnnxFile.read(path)


def test_the_metadata_holds_the_card(file, document):
    assert json.loads(file.metadata["gen_export"]) == document
