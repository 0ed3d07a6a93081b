"""The command `card`: a page that says what the file says, in words that a hub and a reader can trust."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gen_export.cards.card import card_text, write_card
from gen_export.cards.front_matter import front_matter
from gen_export.cards.hub import upload
from gen_export.cards.markdown import plain, table
from gen_export.errors import PushError
from gen_export.verify.files import Files
from gen_export.verify.stamp import hashes, stamp
from gen_runtime import Card, FileError, grid, load
from tests.runtime import files

huggingface_hub = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")

EVALUATION = {
    "data": "sprites",
    "features": "sprites.onnx",
    "images": 5000,
    "floor": {"frechet distance": 0.5, "recall": None},
    "scores": {"frechet distance": {"value": 12.25, "error": 0.125}, "recall": {"value": 0.75, "error": None}},
}


@pytest.fixture(scope="module")
def golden(root):
    return root / "models_onnx" / "golden"


def metadata(text):
    """The front matter as the hub's own library reads it."""
    return huggingface_hub.ModelCard(text).data


def told(tmp_path, **changes):
    """The card of a sampler whose metadata has these sections."""
    return card_text(load(files.write(tmp_path / "a.onnx", files.text("sample"), files.card("sample", **changes))))


def test_the_card_and_a_picture_that_the_file_draws_land_beside_it(call, tmp_path):
    path = files.write_model(tmp_path)

    code, out, err = call("card", path)

    assert (code, err) == (0, "")
    assert out == f"the card of tiny.onnx: {tmp_path}/README.md, {tmp_path}/samples.png\n"
    assert "](samples.png)" in (tmp_path / "README.md").read_text()
    with Image.open(tmp_path / "samples.png") as picture:
        assert np.array_equal(np.asarray(picture), grid(files.expected(36, seed=0))[..., 0])


def test_a_hub_reads_library_task_tags_data_and_licence(golden):
    data = metadata(card_text(load(golden / "vae.onnx"), licence="mit")).to_dict()

    assert data == {
        "library_name": "onnx",
        "license": "mit",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["onnx", "onnxruntime", "gen-export", "vae"],
        "datasets": ["sprites"],
    }


def test_a_file_that_draws_nothing_has_no_task_no_picture_and_no_licence_of_its_own(golden, tmp_path):
    paths = write_card(load(golden / "mae.onnx"), tmp_path / "card.md")

    data = metadata(paths[0].read_text()).to_dict()
    assert paths == [tmp_path / "card.md"]
    assert {"pipeline_tag", "license"}.isdisjoint(data)


def test_scores_stand_beside_their_floors_and_in_the_model_index(tmp_path):
    text = told(tmp_path, evaluation=EVALUATION)

    found = [(row.metric_type, row.metric_value, row.dataset_name) for row in metadata(text).eval_results]
    assert found == [("frechet-distance", 12.25, "sprites"), ("recall", 0.75, "sprites")]
    assert "| frechet distance | 12.25 ± 0.12 | 0.5 |\n| recall | 0.75 |  |" in text
    assert "data: sprites, features: sprites.onnx, images: 5000" in text
    assert "was not measured" not in text


def test_what_was_not_measured_is_said_among_the_limits(tmp_path):
    text = told(tmp_path)

    assert "How close its images are to real ones was not measured." in text
    assert "The facts of its mathematics were not checked on these files." in text
    assert "images have 4 x 5 pixels and 1 channel, no other size" in text


def test_facts_are_told_with_their_evidence_until_the_files_change(tmp_path):
    path = files.write_model(tmp_path)
    fact = {"kind": "exact", "verdict": "passed", "error": 0, "bound": 0.5}
    stamp(path, {"one": fact, "two": fact | {"verdict": "skipped", "error": None}}, hashes(Files(path)))
    text = card_text(load(path))

    assert "1 facts passed (1 exact), 1 skipped, on exactly these files." in text
    assert "| `one` | exact | passed | 0 | 0.5 |\n| `two` | exact | skipped | none | 0.5 |" in text

    files.write(tmp_path / "tiny.encode.onnx", files.text("encode"), files.card("encode", summary="Another."))
    assert "changed after they were verified" in card_text(load(path))


def test_the_worst_difference_from_torch_is_told_of_each_graph(tmp_path):
    rows = [
        {"graph": "sample", "batch": 1, "max_levels": 1, "pixels_apart": 0.25},
        {"graph": "sample", "batch": 4, "max_levels": 0, "pixels_apart": 0.5},
        {"graph": "encode", "batch": 1, "max_abs": 1e-7, "rel_l2": 2e-7},
        {"graph": "sample", "against": "loop", "batch": 1, "max_levels": 9},
    ]

    assert "| `sample` |  |  | 1 | 0.5 |\n| `encode` | 1e-07 | 2e-07 |  |  |" in told(tmp_path, parity=rows)


def test_a_certificate_is_told_with_its_runs_or_why_there_is_none(tmp_path):
    proven = {"lipschitz": 2.0, "run_log10": {"ddim": -1.5}}

    assert "for all inputs: 2.\n\n| solver | constant of a whole run |\n| --- | --- |\n| `ddim` | 10^-1.5 |" in told(
        tmp_path, certificate=proven
    )
    assert "None: norm_1: group normalisation." in told(
        tmp_path, certificate={"refused": "norm_1: group normalisation"}
    )


def blocks(text):
    """The code of each language."""
    return dict(re.findall(r"```(\w+)\n(.*?)\n```", text, re.DOTALL))


def test_the_python_call_runs_as_it_stands(run_python, tmp_path):
    path = files.write_model(tmp_path)
    result = run_python("-W", "error", "-c", blocks(card_text(load(path)))["python"], cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "out.png") as picture:
        assert np.array_equal(np.asarray(picture), grid(files.expected(16, seed=7))[..., 0])


def test_the_python_call_of_a_file_that_takes_images_runs_on_them(golden, monkeypatch):
    monkeypatch.chdir(golden)
    size = load("mae.onnx").card.image
    given = {"image": np.zeros((1, size.channels, size.height, size.width), np.float32)}
    (port,) = (port for port in load("mae.onnx").card.inputs if port.name == "mask")
    given["mask"] = np.zeros([axis if isinstance(axis, int) else 1 for axis in port.shape], port.dtype)

    exec(blocks(card_text(load("mae.onnx")))["python"], given)

    assert set(given["outputs"]) == {port.name for port in load("mae.onnx").card.outputs}


@pytest.mark.parametrize("name", ["vae", "mae"])
def test_the_calls_of_the_other_hosts_are_those_of_their_documentation(golden, root, name):
    documented = (root / "docs" / "hosts.md").read_text()
    code = blocks(card_text(load(golden / f"{name}.onnx")))
    words = {word for language in ("cpp", "csharp", "js") for word in re.findall(r"[\w.:]+(?=\()", code[language])}
    known = {word.rpartition(".")[2].rpartition("::")[2] for word in words} - {"using"}

    assert len(words) >= 3
    assert [word for word in known if f"{word}(" not in documented] == []


def test_what_a_file_says_is_taken_literally(tmp_path):
    text = told(tmp_path, summary="<script>x</script> [a](http://b) \x1b[31m", config={"net": "a | b"})

    assert "&lt;script>x&lt;/script> \\[a\\](http://b)  \\[31m" in text
    assert "| net | a \\| b |" in text
    assert "\x1b" not in text


@given(st.text(max_size=30))
def test_any_text_stays_in_its_cell(text):
    (line,) = table((plain(text), "b"), []).splitlines()[:1]

    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3


@given(name=st.text(max_size=30), licence=st.text(max_size=10))
def test_any_name_of_the_data_gives_front_matter_that_a_hub_reads(name, licence):
    card = Card.parse(json.dumps(files.card("sample", data={"name": name})), "a.onnx")
    data = metadata(front_matter(card, name, EVALUATION | {"data": name}, licence)).to_dict()

    assert data["tags"] == ["onnx", "onnxruntime", "gen-export", "diffusion"]
    assert [row["value"] for row in data["model-index"][0]["results"][0]["metrics"]] == [12.25, 0.75]


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation": {"scores": {"fid": 3}}},
        {"evaluation": [1]},
        {"certificate": {"lipschitz": 1.0}},
        {"parity": [{"graph": "sample", "max_abs": "big"}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_malformed_section_is_refused_in_one_line(tmp_path, changes):
    with pytest.raises(FileError, match=r"a\.onnx: its card has a malformed section: "):
        told(tmp_path, **changes)


def test_what_is_no_card_is_never_written_over_and_a_card_is(tmp_path, call):
    path = files.write_model(tmp_path)
    (tmp_path / "README.md").write_text("# Mine\n")

    code, _, err = call("card", path)
    assert (code, (tmp_path / "README.md").read_text()) == (2, "# Mine\n")
    assert err.startswith(f"gen-export: {tmp_path}/README.md: expected no file or a model card, found another file")
    assert not (tmp_path / "samples.png").exists()

    assert call("card", path, "--out", "card/README.md")[0] == 0
    assert call("card", path, "--out", "card/README.md", "--license", "mit")[0] == 0
    assert '\nlicense: "mit"\n' in (tmp_path / "card" / "README.md").read_text()


def test_a_broken_part_is_told_and_nothing_is_written(tmp_path, call):
    path = files.write_model(tmp_path)
    (tmp_path / "tiny.encode.onnx").write_bytes(b"no model")

    code, _, err = call("card", path)
    assert (code, "tiny.encode.onnx" in err) == (2, True)
    assert not (tmp_path / "README.md").exists()
    assert not (tmp_path / "samples.png").exists()


def test_a_card_lists_the_parts_that_are_there(tmp_path, call):
    path = files.write_model(tmp_path)
    assert call("card", path)[0] == 0
    assert "`tiny.encode.onnx`" in (tmp_path / "README.md").read_text()

    (tmp_path / "tiny.encode.onnx").unlink()
    assert call("card", path)[0] == 0
    assert "`tiny.encode.onnx`" not in (tmp_path / "README.md").read_text()


class Hub:
    """What a hub is asked, and a refusal where one is given."""

    def __init__(self, refusal=None):
        self.made, self.commits, self.refusal = [], [], refusal

    def create_repo(self, repository, **options):
        if self.refusal:
            raise self.refusal
        self.made.append((repository, options))
        return f"https://hub/{repository}"

    def create_commit(self, repository, operations, commit_message):
        found = {operation.path_in_repo: operation.path_or_fileobj for operation in operations}
        self.commits.append((repository, found, commit_message))


def test_an_upload_is_one_commit_of_all_files_into_a_private_repository(tmp_path):
    paths = [tmp_path / name for name in ("README.md", "samples.png", "a.onnx")]
    for path in paths:
        path.write_bytes(path.name.encode())
    hub = Hub()

    assert upload(hub, "me/it", paths) == "https://hub/me/it"
    assert hub.made == [("me/it", {"private": True, "exist_ok": True})]
    ((repository, found, _),) = hub.commits
    assert repository == "me/it"
    assert {name: Path(file).read_bytes() for name, file in found.items()} == {
        name: name.encode() for name in ("README.md", "samples.png", "a.onnx")
    }


def test_a_public_repository_is_asked_for_by_name(tmp_path):
    (tmp_path / "a.onnx").touch()
    hub = Hub()
    upload(hub, "me/it", [tmp_path / "a.onnx"], private=False)

    assert hub.made[0][1]["private"] is False


@pytest.mark.parametrize(
    "refusal",
    [
        errors.LocalTokenNotFoundError("no token"),
        errors.HFValidationError("no name"),
        ConnectionError("no way"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_of_the_hub_is_one_error_of_ours(tmp_path, refusal):
    with pytest.raises(PushError, match=f"me/it: cannot be uploaded: {refusal}"):
        upload(Hub(refusal), "me/it", [tmp_path / "a.onnx"])


def test_a_hub_that_cannot_be_reached_is_one_line_and_no_token_is_shown_or_kept(run_python, tmp_path):
    path = files.write_model(tmp_path)
    secret = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_secret", "HOME": str(tmp_path / "home")}
    result = run_python("cli.py", "card", path, "--push", "me/it", env=os.environ | secret)

    assert result.returncode == 2
    assert re.fullmatch(r"gen-export: me/it: cannot be uploaded: .*\n", result.stderr)
    assert "hf_secret" not in result.stdout + result.stderr
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"hf_secret" in file.read_bytes()]


def test_a_missing_huggingface_hub_is_told_before_anything_is_drawn(run_python, tmp_path):
    path = files.write_model(tmp_path)
    code = "import sys; sys.modules.update(huggingface_hub=None); from gen_export.cli import main; main()"
    result = run_python("-c", code, "card", path, "--push", "me/it")

    assert result.returncode == 2
    assert result.stderr == "gen-export: huggingface_hub is not installed: pip install 'gen-export[cpu,hub]'\n"
    assert not (tmp_path / "README.md").exists()


def test_the_files_of_the_golden_suite_all_have_a_card(golden):
    for name in ("autoencoder", "diffusion", "gan", "mae", "vae", "vqvae", "gaussian", "mixture", "echo"):
        assert metadata(card_text(load(golden / f"{name}.onnx"))).library_name == "onnx"
