"""The facts of certificates: they hold on right files, and fail where a card, a weight or a step is changed."""

import json
import shutil

import numpy as np
import onnx
import pytest

from gen_export.verify.fact import FACTS
from gen_export.verify.facts import certificates
from gen_export.verify.files import Files
from gen_export.verify.report import of_files, open_files
from tests.mutants.tool import card, edit, retype

FOLLOWS = "gen_export.diffusion.certificate_follows_from_the_weights"
KEEPS = "gen_export.diffusion.steps_keep_their_constants"


def outcome(fact, path):
    """What comes of one fact."""
    (found,) = of_files(open_files(path), lambda known: known.name == fact)
    return found


@pytest.fixture
def changed(exported, tmp_path, monkeypatch):
    """The main file of a tiny model one of whose files is changed; facts try ten pairs a step."""
    monkeypatch.setattr(certificates, "PAIRS", 10)

    def make(net, graph, change):
        main = exported("diffusion", **({} if net == "unet" else {"net": net}))
        for file in main.parent.glob("*.onnx"):
            shutil.copy(file, tmp_path)
        path = tmp_path / (main.name if graph == "sample" else f"{main.stem}.{graph}.onnx")
        model = onnx.load(path)
        change(model)
        onnx.save(model, path)
        return tmp_path / main.name

    return make


def in_card(change):
    """The certificate of the main file's card changed."""
    return "sample", card(lambda document: change(document["certificate"]))


@pytest.mark.parametrize("net", ["unet", "residual", "monotone"])
def test_both_facts_hold_on_right_files(exported, net, monkeypatch):
    monkeypatch.setattr(certificates, "PAIRS", 10)
    path = exported("diffusion", **({} if net == "unet" else {"net": net}))

    for fact in (FOLLOWS, KEEPS):
        found = outcome(fact, path)
        assert found.verdict == "passed", found
        assert found.finding.note.startswith("no certificate: Instance") == (net == "unet")
    assert FACTS[FOLLOWS].kind == "certified"


def test_the_steps_below_1_are_counted(exported, monkeypatch):
    monkeypatch.setattr(certificates, "PAIRS", 1)
    found = certificates.steps_keep_their_constants(Files(exported("diffusion", net="monotone")))
    below = [int(word.rstrip(",")) for word in found.note.split() if word.rstrip(",").isdigit()]

    assert below[0] == 50
    assert 15 <= below[-1] < 50


WRONG_CARDS = {
    "one constant of one step is a per mil too small": lambda c: c["log10"]["euler"].__setitem__(
        7, c["log10"]["euler"][7] - 1e-3
    ),
    "the denoiser's constant is a per mil too small": lambda c: c.update(lipschitz=0.999 * c["lipschitz"]),
    "the run's constant is a hundredth": lambda c: c["run_log10"].update(ddim=c["run_log10"]["ddim"] - 2),
    "a constant is no number": lambda c: c["log10"]["ddpm"].__setitem__(3, "small"),
    "a slope is a per mil too small": lambda c: c["slopes"][3].__setitem__(1, 0.999 * c["slopes"][3][1]),
    "one state is another": lambda c: c["steps"][3].__setitem__(0, c["steps"][3][0] + 1),
    "the last step is left out": lambda c: (
        c["steps"].pop(),
        c["slopes"].pop(),
        [constants.pop() for constants in c["log10"].values()],
    ),
    "two solvers are exchanged": lambda c: c["log10"].update(ddim=c["log10"]["euler"], euler=c["log10"]["ddim"]),
    "a solver is left out": lambda c: c["log10"].pop("heun"),
    "a solver has another name": lambda c: c["log10"].update(heun2=c["log10"].pop("heun")),
    "there is none": lambda c: c.clear(),
    "it is refused": lambda c: (c.clear(), c.update(refused="InstanceNormalization 'x': no")),
}


@pytest.mark.parametrize("wrong", WRONG_CARDS)
def test_a_card_with_a_wrong_certificate_is_rejected(changed, wrong):
    path = changed("residual", *in_card(WRONG_CARDS[wrong]))

    assert outcome(FOLLOWS, path).verdict == "failed"


def test_a_card_without_a_certificate_is_rejected(changed):
    path = changed("residual", "sample", card(lambda document: document.update(certificate=None)))

    assert outcome(FOLLOWS, path).verdict == "failed"


@pytest.mark.parametrize("layer", ["stem", "residual1.conv1", "residual2.conv2", "head"])
def test_a_weight_that_is_changed_after_the_certificate_is_stored_is_rejected(changed, layer):
    path = changed("residual", "denoise", edit(f"net.{layer}.weight", lambda w: 1.001 * w))

    assert outcome(FOLLOWS, path).verdict == "failed"


def test_another_reason_than_the_files_own_is_rejected(changed):
    path = changed("unet", *in_card(lambda c: c.update(refused="Softmax 'y': no rule bounds this operator")))

    assert outcome(FOLLOWS, path).verdict == "failed"


@pytest.mark.parametrize(
    ("net", "change"),
    [
        ("monotone", retype("Sub", "Add", -1)),
        ("monotone", edit("potentials.0.weight", lambda w: 30.0 * w)),
        ("residual", edit("head.weight", lambda w: -300.0 * w)),
    ],
    ids=["the predicted noise is added to the image", "a potential is steeper", "the network is another"],
)
def test_a_step_that_spreads_images_more_than_is_certified_is_rejected(changed, net, change):
    assert outcome(KEEPS, changed(net, "step", change)).verdict == "failed"


def test_a_card_is_json_that_says_each_number_once(exported):
    section = json.loads(Files(exported("diffusion", net="residual")).card.text)["certificate"]

    assert list(section) == ["lipschitz", "steps", "slopes", "log10", "run_log10"]
    assert len(section["steps"]) == len(section["slopes"]) == 50
    assert np.isfinite([section["lipschitz"], *section["run_log10"].values()]).all()
