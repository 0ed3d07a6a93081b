"""The command `verify`: what it prints, how it exits, and what it leaves in the files."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

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
    assert load(vae, device="cpu").card.verified["failed"] == 0
    assert "fits these weights" in call("inspect", vae)[1]
    assert call("verify", vae)[0] == 0

    perturb(vae.with_name("vae.decode.onnx"))
    code, out, err = call("verify", vae)
    assert (code, out) == (2, "")
    assert err.startswith(f"gen-export: {vae}: expected the weights of its stamp, found others")


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
    assert f"{tmp_path / 'no.onnx'}: no such file" in refused(call, tmp_path / "no.onnx")
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


def test_a_missing_part_and_a_part_of_another_family_are_refused(call, vae, exported):
    part = vae.with_name("vae.encode.onnx")
    shutil.copy(exported("mae").with_name("mae.encode.onnx"), part)
    assert "of another model" in refused(call, vae)

    part.unlink()
    assert "expected its part encode" in refused(call, vae)


def test_a_part_alone_is_checked_as_far_as_it_goes(call, vae):
    code, out, _ = call("verify", vae.with_name("vae.objective.onnx"))

    assert code == 0
    assert "skipped" in out
