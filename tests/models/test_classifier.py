"""The classifier: its augmentation, its loss and what it refuses."""

import numpy as np
import pytest
import torch

from gen_export.errors import ConfigError, DataError
from gen_export.models.classifier import ClassifierConfig, moved
from gen_export.models.family import Batch
from gen_export.training import run
from gen_export.training.settings import TrainSettings


def test_a_moved_image_is_a_shift_of_it_or_of_its_mirror_image():
    """A single bright pixel in the middle stays one, at most two pixels away; both directions occur."""
    image = torch.zeros((200, 1, 9, 9))
    image[:, :, 4, 5] = 1
    found = moved(image, torch.Generator().manual_seed(1))
    places = found.flatten(1).argmax(1)
    rows, columns = places // 9, places % 9

    assert (found.sum((1, 2, 3)) == 1).all()
    assert sorted(set(rows.tolist())) == [2, 3, 4, 5, 6]
    assert sorted(set(columns.tolist())) == [1, 2, 3, 4, 5, 6, 7]  # 5 +- 2, and 3 +- 2 of the mirror image


def test_what_comes_in_at_the_border_repeats_it():
    ramp = torch.arange(8.0).repeat(100, 1, 8, 1)
    found = moved(ramp, torch.Generator().manual_seed(2))

    assert set(found.unique().tolist()) == set(range(8))
    assert (found.diff(dim=3).abs() <= 1).all()


def test_images_stand_still_when_the_model_is_evaluated(build_family):
    family = build_family("classifier")
    batch = Batch(torch.rand((6, 1, 8, 8)) * 2 - 1, torch.arange(6) % 4)
    first, second = (family.losses(batch, torch.Generator().manual_seed(seed))["loss"].item() for seed in (1, 2))
    trained = [family.train().losses(batch, torch.Generator().manual_seed(seed))["loss"].item() for seed in (1, 2)]

    assert first == second
    assert trained[0] != trained[1]


def test_the_loss_of_even_log_odds_is_the_logarithm_of_the_number_of_classes(build_family):
    family = build_family("classifier")
    with torch.no_grad():
        family.head.weight.zero_()
        family.head.bias.zero_()
    loss, accuracy, _ = family.objective(torch.zeros((8, 1, 8, 8)), torch.arange(8) % 4)

    assert loss.item() == pytest.approx(np.log(4))
    assert accuracy.item() == 0.25  # the first of equal ones


def test_training_needs_labels(tmp_path):
    np.save(tmp_path / "plain.npy", np.zeros((20, 8, 8), np.uint8))

    with pytest.raises(DataError, match="plain: expected images with labels, found none"):
        run.start(
            "classifier",
            {"classes": True},
            TrainSettings(steps=1),
            run.Source(str(tmp_path / "plain.npy")),
            tmp_path / "run",
            torch.device("cpu"),
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [*(("classes", wrong) for wrong in (("a",), 1, (), ("a", "any"))), ("size", "huge"), ("features", 1)],
)
def test_an_option_outside_its_range_is_refused_by_name(option, value):
    with pytest.raises(ConfigError, match=f"^{option}: "):
        ClassifierConfig(**{"classes": ("a", "b", "c"), option: value})
