"""The stamp: it fits the weights that were checked and no others, and changes nothing else."""

import json
import re

import onnx
import pytest

import gen_export
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.stamp import stamp, stamp_fits, weights
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
    stamp(path, facts, weights(path))
    return path


def change_weight(path):
    """Another value for the first initializer, and the stamp left in place."""
    model = onnx.load(path)
    model.graph.initializer[0].float_data[0] += 1
    path.write_bytes(model.SerializeToString())


def test_a_file_says_what_was_checked_on_it(model_path):
    card = load(stamped(model_path), device="cpu").card

    assert card.verified == {
        "weights": weights(model_path),
        "facts": FACTS,
        "passed": 2,
        "failed": 0,
        "tool": gen_export.__version__,
    }
    assert list(weights(model_path)) == ["walk", "encode"]
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in weights(model_path).values())


def test_a_fact_that_did_not_pass_is_counted_as_failed(model_path):
    facts = FACTS | {"range": {"kind": "certified", "verdict": "failed", "error": 2.0, "bound": 1.0}}

    verified = load(stamped(model_path, facts), device="cpu").card.verified

    assert (verified["passed"], verified["failed"]) == (2, 1)


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


def test_a_stamp_does_not_fit_when_a_part_is_missing_or_broken(model_path):
    part = stamped(model_path).with_name("walk.encode.onnx")
    part.write_bytes(part.read_bytes()[:-7])
    assert stamp_fits(model_path) is False

    part.unlink()
    assert stamp_fits(model_path) is False


def test_a_stamp_of_weights_that_have_changed_while_they_were_checked_does_not_fit(model_path):
    checked = weights(model_path)
    change_weight(model_path)
    stamp(model_path, FACTS, checked)

    assert stamp_fits(model_path) is False


def test_a_part_has_a_stamp_of_its_own(model_path):
    part = stamped(model_path.with_name("walk.encode.onnx"))

    assert list(weights(part)) == ["encode"]
    assert stamp_fits(part) is True
    assert stamp_fits(model_path) is None


@pytest.mark.parametrize("stamp_section", [{}, {"weights": 3}, {"weights": {}}])
def test_a_stamp_without_the_hashes_does_not_fit(model_path, stamp_section):
    file = OnnxFile.read(model_path)
    text = json.dumps(json.loads(file.metadata["gen_export"]) | {"verified": stamp_section})
    model_path.write_bytes(file.with_metadata("gen_export", text).data)

    assert stamp_fits(model_path) is False


def test_the_hashes_need_every_part(model_path):
    model_path.with_name("walk.encode.onnx").unlink()

    with pytest.raises(FileError, match=r"walk\.encode\.onnx: cannot be read: No such file"):
        weights(model_path)


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
