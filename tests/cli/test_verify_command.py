"""The command `verify`: what it prints, how it exits, and what it leaves in the files."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from gen_export.errors import MissingToolError
from gen_export.verify import report
from gen_export.verify.fact import Fact, Finding
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.stamp import stamp_fits
from gen_runtime import load


@pytest.fixture
def vae(exported, tmp_path):
    """A copy of an exported VAE, in a folder of its own."""
    return shutil.copytree(exported("vae").parent, tmp_path / "vae") / "vae.onnx"


def perturb(path):
    """One weight of a file changed by 1 %."""
    model = onnx.load(path)
    tensor = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), tensor.name))
    onnx.save(model, path)


def tamper(path, change):
    """The cards of a main file and its parts changed."""
    for each in path.parent.glob("*.onnx"):
        file = OnnxFile.read(each)
        document = json.loads(file.metadata["gen_export"])
        change(document)
        each.write_bytes(file.with_metadata("gen_export", json.dumps(document)).data)


def test_a_right_file_passes_with_a_table_of_its_facts_and_is_left_as_it_was(call, vae):
    before = {path.name: path.read_bytes() for path in vae.parent.iterdir()}
    code, out, err = call("verify", vae)

    assert (code, err) == (0, "")
    assert "VAE.loss_eq_reconstruction_add_kl" in out
    assert "exact" in out
    assert f"{vae}: " in out.splitlines()[-1]
    assert "failed" not in out
    assert {path.name: path.read_bytes() for path in vae.parent.iterdir()} == before


def test_a_folder_means_the_models_in_it(call, vae):
    code, out, _ = call("verify", vae.parent, "--json")

    assert code == 0
    assert list(json.loads(out)) == [str(vae)]


def test_a_wrong_file_exits_with_one_and_tells_fact_statement_and_error(call, vae):
    perturb(vae.with_name("vae.decode.onnx"))
    code, out, _ = call("verify", vae)

    assert code == 1
    assert "failed: gen_export." in out


def test_json_has_every_outcome_with_numbers_a_machine_can_read(call, vae):
    code, out, _ = call("verify", vae, "--json")
    (outcomes,) = json.loads(out).values()

    assert code == 0
    assert len(outcomes) > 20
    for outcome in outcomes:
        assert outcome["verdict"] == "passed"
        assert outcome["error"] <= outcome["bound"]
        assert outcome["cases"] >= 1
        assert (outcome["false_alarm"] is not None) == (outcome["kind"] == "statistical")


def test_statements_are_shown_when_asked_for(call, vae):
    assert "reconstruction + beta * kl" in " ".join(call("verify", vae, "--statements")[1].split())


def test_a_stamp_fits_until_the_weights_change(call, vae):
    assert call("verify", vae, "--stamp")[0] == 0
    assert stamp_fits(vae) is True
    verified = load(vae, device="cpu").card.verified
    assert (verified["passed"], verified["skipped"]) == (len(verified["facts"]), 0)
    assert "facts passed, fits these files" in call("inspect", vae)[1]
    assert call("verify", vae)[0] == 0

    perturb(vae.with_name("vae.decode.onnx"))
    code, out, err = call("verify", vae)
    assert (code, out) == (2, "")
    assert err.startswith(f"gen-export: {vae}: expected the files of its stamp, found others")


def test_a_file_that_fails_is_not_stamped(call, vae):
    perturb(vae.with_name("vae.decode.onnx"))

    assert call("verify", vae, "--stamp")[0] == 1
    assert stamp_fits(vae) is None


def test_the_facts_of_pure_mathematics_need_no_file(call):
    code, out, _ = call("verify", "--mathematics", "--json")
    (outcomes,) = json.loads(out).values()

    assert code == 0
    assert {"exact", "certified"} <= {outcome["kind"] for outcome in outcomes}


def refused(call, *words):
    code, out, err = call("verify", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_nothing_to_verify_is_an_error(call):
    code, _, err = call("verify")

    assert code == 2
    assert "expected a file, a folder or --mathematics" in err


def test_a_missing_file_and_an_empty_folder_are_refused_by_name(call, tmp_path):
    assert f"{tmp_path / 'no.onnx'}: cannot be read: No such file" in refused(call, tmp_path / "no.onnx")
    assert "expected a folder with an exported model" in refused(call, tmp_path)


def test_a_foreign_onnx_file_is_refused_alone_and_in_a_folder(call, vae):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 18]> g (float[1] x) => (float[1] y) {y = Neg(x)}'
    )
    foreign = vae.with_name("foreign.onnx")
    onnx.save(model, foreign)

    assert "gen-export did not write it" in refused(call, foreign)
    assert "gen-export did not write it" in refused(call, vae.parent)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(call, vae, keep):
    data = vae.read_bytes()
    vae.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])

    assert str(vae) in refused(call, vae)


def test_a_part_of_another_family_is_refused(call, vae, exported):
    shutil.copy(exported("mae").with_name("mae.encode.onnx"), vae.with_name("vae.encode.onnx"))

    assert "of another model" in refused(call, vae)


def test_what_needs_a_part_that_is_not_there_is_skipped(call, vae):
    vae.with_name("vae.bound.onnx").unlink()
    code, out, _ = call("verify", vae)

    assert code == 0
    assert "gen_export.vae.elbo_below_bound" in out
    assert "needs the graph bound, which is not at hand" in out


def test_a_part_alone_is_checked_as_far_as_it_goes(call, vae):
    code, out, _ = call("verify", vae.with_name("vae.objective.onnx"))

    assert code == 0
    assert "skipped" in out


def copied(exported, family, folder):
    return shutil.copytree(exported(family).parent, folder / family) / f"{family}.onnx"


def set_schedule(**values):
    return lambda document: document["schedule"].update(values)


def set_port(name, **values):
    def change(document):
        for port in document["inputs"] + document["outputs"]:
            if port["name"] == name:
                port.update(values)

    return change


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("diffusion", lambda document: document.update(schedule=None)),
        ("diffusion", set_schedule(states="60")),
        ("diffusion", set_schedule(states=0)),
        ("vae", lambda document: document["config"].update(beta="abc")),
        ("mae", lambda document: document["config"].update(patch="abc")),
        ("vqvae", set_port("indices", maximum=100)),
        ("vqvae", set_port("indices", maximum=None)),
    ],
    ids=["no schedule", "text for states", "no states", "text for beta", "text for a patch", "codes", "no codes"],
)
def test_a_card_that_no_check_expects_fails_facts_and_shows_no_traceback(call, exported, tmp_path, family, change):
    path = copied(exported, family, tmp_path)
    tamper(path, change)
    code, out, err = call("verify", path, "--json")
    verdicts = [outcome["verdict"] for outcome in json.loads(out)[str(path)]]

    assert (code, err) == (1, "")
    assert "failed" in verdicts
    assert set(verdicts) <= {"passed", "failed"}


def test_a_renamed_output_fails_facts_with_a_reason_in_one_line(call, vae):
    encode = vae.with_name("vae.encode.onnx")
    model = onnx.load(encode)
    model.graph.output[0].name = "mean"
    for node in model.graph.node:
        node.output[:] = ["mean" if name == "mu" else name for name in node.output]
        node.input[:] = ["mean" if name == "mu" else name for name in node.input]
    onnx.save(model, encode)
    tamper(vae, lambda document: document["graph"] == "encode" and document["outputs"][0].update(name="mean"))

    code, out, err = call("verify", vae, "--json")
    notes = [outcome["note"] for outcome in json.loads(out)[str(vae)] if outcome["verdict"] == "failed"]

    assert (code, err) == (1, "")
    assert "the check broke off: KeyError: 'mu'" in notes


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("a\nb"), AttributeError("a\nb"), IndexError("a\nb"), StopIteration("a\nb"), TypeError("a\nb")],
)
def test_a_check_that_breaks_off_has_failed_for_a_reason_of_one_line(error):
    def check():
        raise error

    outcome = report._checked(Fact("gen_export.broken", "", "", "none", "exact", check))

    assert (outcome.verdict, outcome.reason) == ("failed", f"the check broke off: {type(error).__name__}: a b")


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("diffusion", set_schedule(states=4001), "schedule.states: expected at most 4000, found 4001"),
        ("diffusion", set_schedule(states=10**400), "schedule.states: expected at most 4000, found 1"),
        ("vqvae", set_port("indices", maximum=1e10), "indices: expected at most 65535, found 10000000000.0"),
        ("vqvae", set_port("indices", shape=["batch", "h", "w"]), "declares indices with the shape [batch, h, w]"),
        ("mae", set_port("mask", shape=["batch", 2]), "its card declares mask with the shape [batch, 2]"),
        ("vae", set_port("eps", shape=["batch", 7 * 10**8]), "its card declares eps with the shape [batch, 700000000]"),
        ("vae", set_port("seed", maximum=10**400), "port seed: maximum must be a finite number, found 1"),
        ("vae", lambda document: document["image"].update(height=10**5), "port images: expected images of [100000, 8"),
        ("vae", lambda document: document.update(family="other"), "expected a family with facts, autoencoder, "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_card_of_another_size_than_its_graph_or_any_model_is_refused(
    call, exported, tmp_path, family, change, message
):
    path = copied(exported, family, tmp_path)
    tamper(path, change)

    assert message in refused(call, path)
    assert message in refused(call, path, "--stamp")


def test_a_stamp_does_not_fit_once_a_card_says_something_else(call, vae):
    assert call("verify", vae, "--stamp")[0] == 0
    tamper(vae, lambda document: document["config"].update(size="large"))

    assert "expected the files of its stamp, found others" in refused(call, vae)
    assert "stamp does not fit" in call("inspect", vae)[1]


def test_a_part_alone_is_not_stamped(call, vae):
    part = vae.with_name("vae.objective.onnx")

    assert "expected a model's main file to stamp, found its part objective" in refused(call, part, "--stamp")
    assert stamp_fits(part) is None


def test_a_model_without_its_parts_is_stamped_with_the_facts_that_it_leaves_unchecked(call, vae):
    tamper(vae, lambda document: document.update(parts=[]))
    assert call("verify", vae, "--stamp")[0] == 0
    section = load(vae, device="cpu").card.verified

    assert stamp_fits(vae)
    assert section["skipped"] > section["passed"] > 0
    assert section["facts"]["gen_export.vae.sampled_bytes"]["verdict"] == "skipped"


def test_a_fact_whose_package_is_missing_is_counted_in_the_stamp(call, vae, monkeypatch):
    def check(files):
        raise MissingToolError("it needs a package")

    lacking = Fact("gen_export.lacking", "", "", "none", "exact", check, families=("vae",))
    monkeypatch.setitem(report.FACTS, lacking.name, lacking)

    assert call("verify", vae, "--stamp")[0] == 0
    verified = load(vae, device="cpu").card.verified
    assert verified["skipped"] == 1
    assert verified["facts"][lacking.name] == {"kind": "exact", "verdict": "skipped", "error": None, "bound": None}
    assert "1 skipped, fits these files" in call("inspect", vae)[1]


def test_a_broken_second_file_is_told_before_the_first_is_checked_or_stamped(call, vae, exported, tmp_path):
    first, before = copied(exported, "autoencoder", tmp_path), exported("autoencoder").read_bytes()
    broken = vae.with_name("vae.decode.onnx")
    broken.write_bytes(broken.read_bytes()[:-100])

    assert str(broken) in refused(call, first, vae, "--stamp")
    assert first.read_bytes() == before


def test_a_file_that_changes_while_it_is_checked_gets_no_stamp_that_fits(call, vae, monkeypatch):
    def check(files):
        perturb(vae.with_name("vae.decode.onnx"))
        return Finding(0.0, 0.0, 1)

    meddling = Fact("gen_export.meddling", "", "", "none", "exact", check, families=("vae",))
    monkeypatch.setattr(report, "FACTS", {meddling.name: meddling})

    assert call("verify", vae, "--stamp")[0] == 0
    assert stamp_fits(vae) is False
