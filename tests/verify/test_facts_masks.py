"""Facts of masks: each rejects masks that hide too much, too little or something else, or a wrong objective."""

import numpy as np
import pytest

from gen_export.spec.masks import (
    BlockMask,
    block_mae_sample,
    hide,
    patch_hidden_mask,
    random_hidden,
    vector_hidden_mask,
)
from gen_export.spec.self_supervised import mae_loss
from gen_export.verify.fact import FACTS
from gen_export.verify.facts import image_masks, mask_cases, masks

SSL = "NN.API.ssl."
VECTOR_MASK, IMAGE_MASK = SSL + "vectorMaeMask_", SSL + "imagePatchMask_"
VECTOR_SAMPLE, IMAGE_SAMPLE = SSL + "vectorMaeSample_", SSL + "imagePatchMaeSample_"


def multiply(x, hidden):
    """Zeros by a product, which leaves NaN where it was and turns signs of zeros."""
    with np.errstate(invalid="ignore"):
        return x * np.where(hidden, np.float32(0), np.float32(1))


def keep_all(x, hidden):
    """Nothing hidden."""
    return x


def hide_all(x, hidden):
    """Everything hidden."""
    return np.zeros_like(x)


def column_major(mask, shape):
    """Blocks counted along the first axis first."""
    turned = BlockMask(mask.blocks[::-1], mask.period, mask.offset)
    return RIGHT_HIDDEN(turned, shape[::-1]).T


RIGHT_HIDDEN = BlockMask.hidden


def masked_target(x, mask, width):
    """A target that is masked as well."""
    given, _ = block_mae_sample(x, mask, width)
    return given, given.reshape(len(x), -1)[:, :width]


def late_target(x, mask, width):
    """The last entries for the first."""
    return block_mae_sample(x, mask, width)[0], x.reshape(len(x), -1)[:, -width:]


def bare_sample(x, mask, width):
    """An input that is not masked."""
    return x, block_mae_sample(x, mask, width)[1]


def blank_sample(x, mask, width):
    """An input without anything."""
    return np.zeros_like(x), block_mae_sample(x, mask, width)[1]


def all_but_first(indices, *rest):
    """A loss that leaves out an index."""
    return mae_loss(list(indices)[1:], *rest)


def shifted_vector(size, period, offset):
    """One entry off."""
    return vector_hidden_mask(size, period, offset + 1)


def turned_patches(height, width, patch_height, patch_width, period, offset):
    """Height and width of a patch exchanged."""
    return patch_hidden_mask(height, width, patch_width, patch_height, period, offset)


def too_many(uniforms, ratio):
    """One patch more."""
    return random_hidden(uniforms, ratio + 1 / uniforms.shape[1])


WRONG = [
    ("BlockMask.apply_scalar_at", mask_cases, "hide", multiply),
    ("BlockMask.hidden_scalar_eq_zero", mask_cases, "hide", multiply),
    ("BlockMask.visible_scalar_eq_input", mask_cases, "hide", hide_all),
    (SSL + "blockMaskBatch_scalarAt", masks, "hide", keep_all),
    (SSL + "blockMaeSample_input_eq_mask", mask_cases, "block_mae_sample", bare_sample),
    (SSL + "blockMaeSample_target_eq_source_prefix", mask_cases, "block_mae_sample", masked_target),
    ("BlockMAE.Proof.row_predictive_objective_eq_mae_loss", mask_cases, "mae_loss", all_but_first),
    (SSL + "vectorMaeHiddenMask_selected_iff", image_masks, "vector_hidden_mask", shifted_vector),
    (VECTOR_MASK + "get_eq_if_selected_hidden", mask_cases, "vector_hidden_mask", shifted_vector),
    (VECTOR_MASK + "hidden_get_eq_zero", mask_cases, "vector_hidden_mask", shifted_vector),
    (VECTOR_MASK + "visible_get_eq_input", mask_cases, "vector_hidden_mask", shifted_vector),
    (VECTOR_SAMPLE + "input_eq_mask", mask_cases, "block_mae_sample", bare_sample),
    (VECTOR_SAMPLE + "target_eq_source", mask_cases, "block_mae_sample", masked_target),
    (VECTOR_SAMPLE + "target_row_eq_source_row", mask_cases, "block_mae_sample", masked_target),
    (VECTOR_SAMPLE + "input_hidden_get_eq_zero", mask_cases, "block_mae_sample", bare_sample),
    (SSL + "vectorMaeRow_predictive_objective_eq_maeLoss", mask_cases, "mae_loss", all_but_first),
    (IMAGE_MASK + "pixel_eq_if_hidden", mask_cases, "patch_hidden_mask", turned_patches),
    (IMAGE_MASK + "hidden_pixel_eq_zero", mask_cases, "patch_hidden_mask", turned_patches),
    (IMAGE_MASK + "visible_pixel_eq_input", mask_cases, "patch_hidden_mask", turned_patches),
    (IMAGE_SAMPLE + "input_eq_imagePatchMask", mask_cases, "block_mae_sample", bare_sample),
    (IMAGE_SAMPLE + "input_hidden_pixel_eq_zero", mask_cases, "block_mae_sample", bare_sample),
    (IMAGE_SAMPLE + "input_visible_pixel_eq_source", mask_cases, "block_mae_sample", blank_sample),
    (IMAGE_SAMPLE + "target_eq_flattenBatchPrefix", mask_cases, "block_mae_sample", late_target),
    (IMAGE_SAMPLE + "target_row_eq_flattened_source_row", mask_cases, "block_mae_sample", masked_target),
    (SSL + "imagePatchMaeRow_predictive_objective_eq_maeLoss", mask_cases, "mae_loss", all_but_first),
    (
        "gen_export.masks.weights_are_a_mean_over_the_hidden",
        masks,
        "reconstruction_weights",
        lambda hidden: hidden * 1.0,
    ),
    ("gen_export.masks.random_hides_the_share", masks, "random_hidden", too_many),
    ("gen_export.masks.random_hides_the_share", masks, "random_hidden", lambda u, ratio: random_hidden(-u, ratio)),
]


@pytest.mark.parametrize(
    ("name", "module", "attribute", "wrong"), WRONG, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_wrong_mask_is_rejected(monkeypatch, name, module, attribute, wrong):
    assert FACTS[name].check().passed
    monkeypatch.setattr(module, attribute, wrong)

    assert not FACTS[name].check().passed


def test_blocks_counted_in_another_order_are_rejected(monkeypatch):
    monkeypatch.setattr(BlockMask, "hidden", column_major)

    assert not FACTS["BlockMask.apply_scalar_at"].check().passed


def test_the_cases_hold_every_rank_and_every_way_to_hide_nothing():
    cases = mask_cases.blocks()

    assert {case.x.ndim - 1 for case in cases} == {1, 2, 3, 4}
    assert any(len(case.mask.blocks) != case.x.ndim - 1 for case in cases)
    assert any(0 in case.mask.blocks for case in cases)
    assert any(case.mask.period == 0 for case in cases)
    assert any(None in case.mask.blocks and case.expected.any() and not case.expected.all() for case in cases)
    assert any(np.isnan(case.x[case.hidden]).any() for case in cases)


def test_the_reference_block_mask_of_a_four_by_four_image():
    """2x2 blocks, every fourth from the first: entries 0, 1, 4 and 5 (section 11)."""
    mask = BlockMask((2, 2), 4)
    found = [mask_cases._block_hides(mask, (4, 4), place) for place in np.ndindex(4, 4)]

    assert np.flatnonzero(found).tolist() == [0, 1, 4, 5]
    assert hide(np.ones((4, 4)), mask.hidden((4, 4))).sum() == 12
