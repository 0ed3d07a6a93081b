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
    verified = {"weights": {"sample": "0" * 64}, "facts": {}, "passed": 0, "failed": 0, "tool": "0.1.0"}

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


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "[" * 100_000])
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


def test_a_very_long_document_is_not_even_parsed():
    with pytest.raises(FileError, match="at most 1048576 characters, found 1048577"):
        Card.parse("x" * (2**20 + 1), "a.onnx")
