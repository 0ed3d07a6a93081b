"""The metadata document: read as written, refused in one line where it is not ours."""

import dataclasses
import json

import pytest

from gen_runtime import Card, FileError


@pytest.fixture
def document(files):
    return files.card("sample", parts=("encode", "decode"))


def parse(document):
    return Card.parse(json.dumps(document), "a.onnx")


def test_the_card_says_what_the_document_says(document):
    card = parse(document)

    assert (card.family, card.graph, card.parts) == ("diffusion", "sample", ("encode", "decode"))
    assert (card.image.height, card.image.width, card.image.channels) == (4, 5, 1)
    assert [port.to_json()["name"] for port in card.inputs] == ["seed", "count", "first", "steps", "eta"]
    assert card.schedule == document["schedule"]
    assert card.training is None
    assert card.parity == tuple(document["parity"])
    assert json.loads(card.text) == document


def test_the_card_names_the_values_on_the_way_and_what_was_checked(document):
    inner = {"name": "h", "dtype": "float32", "shape": ["batch", 8]}
    verified = {"files": {"sample": "0" * 64}, "facts": {}, "passed": 0, "skipped": 0, "tool": "0.1.0"}

    card = parse(document | {"inner": [inner], "verified": verified})

    assert [(port.name, port.shape) for port in card.inner] == [("h", ("batch", 8))]
    assert card.verified == verified


def test_the_card_is_frozen(document):
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(document).family = "vae"


def test_sections_that_say_nothing_may_be_left_out(document):
    needed = ("version", "family", "graph", "image", "inputs", "outputs")

    card = parse({name: document[name] for name in needed})

    assert (card.inner, card.parts, card.parity) == ((), (), ())
    assert (card.schedule, card.verified, card.tool) == (None, None, None)


@pytest.mark.parametrize("field", ["family", "graph", "image", "inputs", "outputs"])
def test_a_missing_field_is_named(document, field):
    del document[field]

    with pytest.raises(FileError, match=rf"a\.onnx: its card lacks the field '{field}'"):
        parse(document)


@pytest.mark.parametrize(
    "change",
    [
        {"family": "Diffusion"},
        {"graph": "a/b"},
        {"graph": 7},
        {"summary": ["x"]},
        {"image": {"height": 0, "width": 1, "channels": 1}},
        {"image": {"height": 1.5, "width": 1, "channels": 1}},
        {"image": {"height": 1}},
        {"image": None},
        {"inputs": 3},
        {"inputs": ["seed"]},
        {"inputs": [{"name": "x", "dtype": "float32", "shape": 3}]},
        {"inputs": [{"name": "x", "dtype": "float32", "shape": [], "colour": "red"}]},
        {"inputs": [{"name": "x", "dtype": "float32", "shape": [], "maximum": 10**400}]},
        {"inputs": [{"name": "x", "dtype": "float32", "shape": [], "default": -(10**400)}]},
        {"inner": {"h": 1}},
        {"inner": ["h"]},
        {"verified": "yes"},
        {"parts": "encode"},
        {"parity": [3]},
        {"schedule": [1]},
    ],
    ids=str,
)
def test_a_malformed_field_is_refused_in_one_line(document, change):
    with pytest.raises(FileError, match=r"a\.onnx: its card has a malformed field: ") as error:
        parse(document | change)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["../secret", "a.b", "/etc/x", "", "A", "a\n", "é", None])
def test_a_part_is_a_plain_name_and_never_a_path(document, part):
    with pytest.raises(FileError, match="expected a name of a-z, 0-9 and _"):
        parse(document | {"parts": [part]})


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', '{"a": 1e999}', "[" * 100_000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(FileError, match=r"a\.onnx: its card is not JSON: "):
        Card.parse(text, "a.onnx")


@pytest.mark.parametrize("text", ["[]", "{}", '{"version": "1"}', '{"version": true}', '{"version": 0}'])
def test_a_document_without_a_version_is_refused(text):
    with pytest.raises(FileError, match=r"a\.onnx: its card has no version, expected 1"):
        Card.parse(text, "a.onnx")


def test_a_newer_version_is_refused_with_what_to_do(document):
    with pytest.raises(FileError, match="version 2, this package reads up to 1: upgrade it"):
        parse(document | {"version": 2})


def nested(levels):
    """Objects and lists in one another, this many."""
    value = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return {"net": value}


def test_a_very_deep_document_is_refused(document):
    assert parse(document | {"config": nested(30)}).config == nested(30)

    for levels in (31, 300):
        with pytest.raises(FileError, match=r"^a\.onnx: expected a card at most 32 levels deep, found a deeper one$"):
            parse(document | {"config": nested(levels)})


@pytest.mark.parametrize("name", ["image", "x", "x0"])
def test_an_image_port_has_the_size_of_the_images(document, name):
    def with_port(*shape):
        return document | {"inputs": [{"name": name, "dtype": "float32", "shape": list(shape)}]}

    assert parse(with_port("batch", 1, 4, 5)).inputs[0].name == name
    with pytest.raises(FileError, match=rf"port {name}: expected images of \[1, 4, 5\], found \[1, 4, 9\]"):
        parse(with_port("batch", 1, 4, 9))


def test_a_sampler_draws_images_of_the_size_that_the_card_says(document):
    image = {"height": 10**5, "width": 10**5, "channels": 1}

    with pytest.raises(FileError, match=r"port images: expected images of \[100000, 100000, 1\], found \[4, 5, 1\]"):
        parse(document | {"image": image})


def test_a_very_long_document_is_not_even_parsed():
    with pytest.raises(FileError, match="at most 1048576 characters, found 1048577"):
        Card.parse("x" * (2**20 + 1), "a.onnx")
