"""The graphs of ONNX files as the package onnx reads them, bit for bit; what cannot be read is refused."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.onnx_graph import ELEMENTS, OnnxGraph
from gen_export.verify.wire import written
from gen_runtime import FileError


def onnx_graphs(graph):
    """All graphs of a graph as the package onnx reads them, itself first, depth first."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from onnx_graphs(inner)


def plain(value):
    """An attribute's value in a form that compares."""
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, onnx.GraphProto | OnnxGraph):
        return f"graph of {len(value.nodes if isinstance(value, OnnxGraph) else value.node)} nodes"
    if isinstance(value, bytes):
        return value.decode()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def onnx_node(node):
    attributes = {a.name: plain(_listed(helper.get_attribute_value(a))) for a in node.attribute}
    return node.op_type, list(node.input), list(node.output), attributes


def _listed(value):
    return list(value) if hasattr(value, "__len__") and not isinstance(value, bytes | str) else value


def our_node(node):
    attributes = {name: plain(value) for name, value in node.attributes.items()}
    return node.op_type, node.inputs, node.outputs, attributes


def require_same(data):
    """The reader finds in these bytes what the package onnx finds."""
    model, file = onnx.load_from_string(data), OnnxFile(data, "a.onnx")
    theirs, ours = list(onnx_graphs(model.graph)), list(file.graphs())
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert our.inputs == [value.name for value in their.input]
        assert our.outputs == [value.name for value in their.output]
        assert [our_node(node) for node in our.nodes] == [onnx_node(node) for node in their.node]
        expected = {tensor.name: plain(tensor) for tensor in their.initializer}
        assert {name: plain(array) for name, array in our.initializers.items()} == expected
    assert file.metadata == {entry.key: entry.value for entry in model.metadata_props}


def test_a_file_reads_as_the_package_onnx_reads_it(walk_bytes):
    require_same(walk_bytes)


@pytest.mark.parametrize("family", ["vae", "diffusion"])
def test_exported_files_read_as_the_package_onnx_reads_them(exported, family):
    paths = sorted(exported(family).parent.glob("*.onnx"))

    assert len(paths) > 3
    for path in paths:
        require_same(path.read_bytes())


NUMBERS = {name: number for number, name in ELEMENTS.items()}


def with_tensor(tensor):
    """A file whose only content is an initializer."""
    return OnnxFile(written(7, written(5, tensor.SerializeToString())), "a.onnx")


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_every_element_type_is_read_bit_for_bit(dtype, raw):
    number = NUMBERS[dtype]
    if np.dtype(dtype).kind in "iu":
        bounds = np.iinfo(dtype)
        values = np.array([[bounds.min, 0, 1], [2, 3, bounds.max]], dtype)
    else:
        values = np.array([[0.1, 0, 1], [-2.5, np.inf, 65504]]).astype(dtype)
    content = values.tobytes() if raw else values.reshape(-1).tolist()
    array = with_tensor(helper.make_tensor("a", number, values.shape, content, raw)).graph.initializers["a"]

    assert plain(array) == plain(values)
    assert not array.flags.writeable


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_scalars_and_empty_tensors_are_read(shape):
    values = np.ones(shape, np.float32)

    array = with_tensor(numpy_helper.from_array(values, "a")).graph.initializers["a"]

    assert plain(array) == plain(values)


def test_raw_weights_are_not_copied():
    data = with_tensor(numpy_helper.from_array(np.ones(4, np.float32), "a")).data
    array = OnnxFile(data, "a.onnx").graph.initializers["a"]

    assert np.shares_memory(array, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dims": [3]}, r"a tensor's shape \[3\] is not that of its 4 elements"),
        ({"dims": [-1]}, r"a tensor's shape \[-1\] is not that of its 4 elements"),
        ({"dims": [2**62, 2**62]}, "a tensor's shape .* is not that of its 4 elements"),
        ({"dims": [1] * 70}, "a tensor's shape .* is not that of its 4 elements"),
        ({"raw_data": bytes(15)}, "15 bytes hold no whole number of float32"),
        ({"data_type": 8}, "a tensor has the element type 8, which is not read"),
        ({"data_location": 1}, "the data of the tensor 'a' lies outside the file"),
    ],
    ids=str,
)
def test_a_tensor_that_cannot_be_read_is_refused(change, complaint):
    fields = {"name": "a", "dims": [4], "data_type": 1, "raw_data": bytes(16)}

    with pytest.raises(FileError, match=rf"^a\.onnx: no readable ONNX file: {complaint}$"):
        with_tensor(onnx.TensorProto(**fields | change)).graph.initializers  # noqa: B018 - a property that reads


def test_weights_outside_the_file_are_neither_read_nor_hashed():
    tensor = onnx.TensorProto(name="a", dims=[1], data_type=1)
    tensor.external_data.add(key="location", value="weights.bin")
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    constant = OnnxFile(onnx.ModelProto(graph=onnx.GraphProto(node=[node])).SerializeToString(), "a.onnx")

    for file in (with_tensor(tensor), constant):
        with pytest.raises(FileError, match="the data of the tensor 'a' lies outside the file"):
            file.weights_hash()
    with pytest.raises(FileError, match="the data of the tensor 'a' lies outside the file"):
        constant.graph.nodes[0].attributes  # noqa: B018 - a property that reads


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it has no graph"),
        (written(7, b"") + written(25, b""), "it has functions of its own, which is not read"),
        (written(7, b"") + written(20, b""), "it has a training graph, which is not read"),
    ],
)
def test_a_file_whose_nodes_may_lie_elsewhere_is_refused(data, complaint):
    with pytest.raises(FileError, match=complaint):
        OnnxFile(data, "a.onnx").graph  # noqa: B018 - a property that reads


def test_sparse_initializers_and_unread_attributes_are_refused():
    sparse = OnnxFile(written(7, written(15, b"")), "a.onnx")
    with pytest.raises(FileError, match="it has a sparse initializer"):
        sparse.graph.initializers  # noqa: B018 - a property that reads

    for attribute, complaint in (
        ({"type": 11}, "an attribute has the type 11, which is not read"),
        ({"type": 2}, "an attribute has 0 values, expected 1"),
    ):
        node = onnx.NodeProto(attribute=[onnx.AttributeProto(name="a", **attribute)])
        model = onnx.ModelProto(graph=onnx.GraphProto(node=[node]))
        with pytest.raises(FileError, match=complaint):
            OnnxFile(model.SerializeToString(), "a.onnx").graph.nodes[0].attributes  # noqa: B018


def nested(depth):
    """A file of graphs in graphs."""
    graph = b""
    for _ in range(depth):
        graph = written(1, written(5, written(6, graph) + written(20, 5)))
    return OnnxFile(written(7, graph), "a.onnx")


def test_graphs_inside_graphs_are_read_to_a_limit():
    assert len(list(nested(30).graphs())) == 31

    for depth in (31, 20_000):
        with pytest.raises(FileError, match="graphs lie in one another more than 30 deep"):
            list(nested(depth).graphs())
