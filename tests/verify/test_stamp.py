"""The stamp: it fits the files that were checked and no others, and changes nothing else."""

import json
import re

import onnx
import pytest

import gen_export
from gen_export.verify.files import Files
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.stamp import fits, hashes, stamp, stamp_fits
from gen_runtime import FileError, load

FACTS = {
    "loop": {"kind": "exact", "verdict": "passed", "error": 0, "bound": None},
    "law": {"kind": "sampled", "verdict": "passed", "error": 1.5e-7, "bound": 2e-7},
}


@pytest.fixture
def model_path(walk_bytes, document, tmp_path):
    """A file with one part beside it, `encode`."""
    file = OnnxFile(walk_bytes, tmp_path / "walk.onnx")
    for name, changes in (("walk.encode.onnx", {"graph": "encode"}), ("walk.onnx", {"parts": ["encode"]})):
        (tmp_path / name).write_bytes(file.with_metadata("gen_export", json.dumps(document | changes)).data)
    return tmp_path / "walk.onnx"


def stamped(path, facts=FACTS):
    stamp(path, facts, hashes(Files(path)))
    return path


def change_weight(path):
    """Another value for the first initializer, and the stamp left in place."""
    model = onnx.load(path)
    model.graph.initializer[0].float_data[0] += 1
    path.write_bytes(model.SerializeToString())


def change_card(path, **changes):
    """Other words in the card, and the stamp left in place."""
    file = OnnxFile.read(path)
    text = json.dumps(json.loads(file.metadata["gen_export"]) | changes)
    path.write_bytes(file.with_metadata("gen_export", text).data)


def test_a_file_says_what_was_checked_on_it(model_path):
    card = load(stamped(model_path), device="cpu").card

    assert card.verified == {
        "files": hashes(Files(model_path)),
        "facts": FACTS,
        "passed": 2,
        "skipped": 0,
        "tool": gen_export.__version__,
    }
    assert list(hashes(Files(model_path))) == ["walk", "encode"]
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes(Files(model_path)).values())


def test_a_fact_that_was_skipped_is_counted_as_such(model_path):
    facts = FACTS | {"range": {"kind": "certified", "verdict": "skipped", "error": None, "bound": None}}

    verified = load(stamped(model_path, facts), device="cpu").card.verified

    assert (verified["passed"], verified["skipped"]) == (2, 1)


def test_a_stamp_fits_what_it_was_made_for_and_may_be_renewed(model_path):
    assert stamp_fits(model_path) is None
    assert stamp_fits(stamped(model_path)) is True
    first = model_path.read_bytes()

    assert stamp_fits(stamped(model_path)) is True
    assert model_path.read_bytes() == first


def test_only_the_card_changes_and_no_draft_stays(model_path):
    before, others = onnx.load(model_path), {path: path.read_bytes() for path in model_path.parent.iterdir()}
    stamped(model_path)
    after = onnx.load(model_path)

    cards = [json.loads({e.key: e.value for e in model.metadata_props}["gen_export"]) for model in (before, after)]
    assert cards[1] == cards[0] | {"verified": cards[1]["verified"]}
    for model in (before, after):
        del model.metadata_props[:]
    assert before.SerializeToString() == after.SerializeToString()
    assert {path: path.read_bytes() for path in model_path.parent.iterdir()} == others | {
        model_path: model_path.read_bytes()
    }


@pytest.mark.parametrize("name", ["walk.onnx", "walk.encode.onnx"])
def test_a_stamp_does_not_fit_when_a_weight_of_the_file_or_of_its_part_has_changed(model_path, name):
    change_weight(stamped(model_path).with_name(name))

    assert stamp_fits(model_path) is False


def test_a_stamp_does_not_fit_when_a_part_is_broken(model_path):
    part = stamped(model_path).with_name("walk.encode.onnx")
    part.write_bytes(part.read_bytes()[:-7])

    assert stamp_fits(model_path) is False


def test_a_stamp_fits_the_files_that_were_checked_where_some_are_not_shipped(model_path):
    """But where one comes that was not checked with the others, it does not."""
    part = stamped(model_path).with_name("walk.encode.onnx")
    contents = part.read_bytes()
    part.unlink()
    assert stamp_fits(model_path) is fits(Files(model_path)) is True

    stamp(model_path, FACTS, hashes(Files(model_path)))
    part.write_bytes(contents)
    assert stamp_fits(model_path) is fits(Files(model_path)) is False


@pytest.mark.parametrize("name", ["walk.onnx", "walk.encode.onnx"])
@pytest.mark.parametrize("change", [{"config": {"size": "large"}}, {"summary": "Other."}, {"training": {"steps": 9}}])
def test_a_stamp_does_not_fit_when_a_card_says_something_else(model_path, name, change):
    change_card(stamped(model_path).with_name(name), **change)

    assert stamp_fits(model_path) is False


def test_a_stamp_of_a_part_leaves_that_of_the_main_file_fitting(model_path):
    stamped(stamped(model_path).with_name("walk.encode.onnx"))

    assert stamp_fits(model_path) is fits(Files(model_path)) is True


def test_a_stamp_of_files_that_have_changed_while_they_were_checked_does_not_fit(model_path):
    opened = Files(model_path)
    change_weight(model_path)
    stamp(model_path, FACTS, hashes(opened))

    assert stamp_fits(model_path) is False


def test_a_part_has_a_stamp_of_its_own(model_path):
    part = stamped(model_path.with_name("walk.encode.onnx"))

    assert list(hashes(Files(part))) == ["encode"]
    assert stamp_fits(part) is True
    assert stamp_fits(model_path) is None


@pytest.mark.parametrize("stamp_section", [{}, {"files": 3}, {"files": {}}])
def test_a_stamp_without_the_hashes_does_not_fit(model_path, stamp_section):
    change_card(model_path, verified=stamp_section)

    assert stamp_fits(model_path) is False


def test_a_card_that_would_grow_too_long_is_refused_and_the_file_stays(model_path):
    before = model_path.read_bytes()
    facts = {"x" * 2**20: FACTS["loop"]}

    with pytest.raises(FileError, match="expected a card of at most 1048576 characters"):
        stamped(model_path, facts)

    assert model_path.read_bytes() == before


def test_a_file_of_strangers_is_not_stamped(walk_model, tmp_path):
    del walk_model.metadata_props[:]
    path = tmp_path / "theirs.onnx"
    path.write_bytes(walk_model.SerializeToString())

    with pytest.raises(FileError, match=r"theirs\.onnx: an ONNX file without the metadata key 'gen_export'"):
        stamp(path, FACTS, {})


def test_the_stamp_follows_the_schema(model_path, root):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((root / "docs" / "metadata.schema.json").read_text(encoding="utf-8"))
    verified = load(stamped(model_path), device="cpu").card.verified

    jsonschema.Draft202012Validator(schema["properties"]["verified"]).validate(verified)
