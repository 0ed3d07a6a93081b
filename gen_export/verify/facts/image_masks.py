"""Facts of executable masks of vectors and of image patches (reference section 8.2), bit for bit.

They are the masks of blocks in one and in two dimensions.
"""

from gen_export.spec.masks import vector_hidden_mask
from gen_export.verify.fact import Finding, all_same_bits, fact
from gen_export.verify.facts.mask_cases import (
    BATCH,
    chosen,
    image_mask,
    images,
    objective_gaps,
    rows,
    vector_mask,
    vectors,
    zeros,
)

_SSL = "NN.API.ssl.{}".format


@fact(_SSL("vectorMaeHiddenMask_selected_iff"), "exact", "8.2")
def vector_entries_by_their_remainder() -> Finding:
    """vectorMaeHiddenMask selects j if and only if p is not 0 and j mod p = o mod p."""
    masks = (vector_hidden_mask(case.x.shape[1], case.mask.period, case.mask.offset) for case in vectors())
    return all_same_bits((mask, case.expected) for mask, case in zip(masks, vectors(), strict=True))


@fact(_SSL("vectorMaeMask_get_eq_if_selected_hidden"), "exact", "8.2")
def vector_mask_chooses() -> Finding:
    """An entry of the masked vector is 0 if it is hidden and the vector's otherwise."""
    return all_same_bits((vector_mask(case), expected) for case, expected in chosen(vectors()))


@fact(_SSL("vectorMaeMask_hidden_get_eq_zero"), "exact", "8.2")
def vector_mask_hides() -> Finding:
    """Hidden entries of a masked vector are 0."""
    return all_same_bits((vector_mask(case)[case.hidden], zeros(case.x[case.hidden])) for case in vectors())


@fact(_SSL("vectorMaeMask_visible_get_eq_input"), "exact", "8.2")
def vector_mask_keeps() -> Finding:
    """Visible entries of a masked vector are those of the vector."""
    return all_same_bits((vector_mask(case)[~case.hidden], case.x[~case.hidden]) for case in vectors())


@fact(_SSL("vectorMaeSample_input_eq_mask"), "exact", "8.2")
def vector_sample_is_masked() -> Finding:
    """The input of a vector MAE sample is the masked vectors."""
    return all_same_bits((case.given, vector_mask(case)) for case in vectors())


@fact(_SSL("vectorMaeSample_target_eq_source"), "exact", "8.2")
def vector_target_is_the_source() -> Finding:
    """The target of a vector MAE sample is the vectors themselves."""
    return all_same_bits((case.target, case.x) for case in vectors())


@fact(_SSL("vectorMaeSample_target_row_eq_source_row"), "exact", "8.2")
def vector_target_row_is_a_source_row() -> Finding:
    """Row b of the target is vector b."""
    return all_same_bits((case.target[b], case.x[b]) for case in vectors() for b in range(BATCH))


@fact(_SSL("vectorMaeSample_input_hidden_get_eq_zero"), "exact", "8.2")
def vector_sample_hides() -> Finding:
    """Hidden entries of the input are 0."""
    return all_same_bits((case.given[case.hidden], zeros(case.x[case.hidden])) for case in vectors())


@fact(_SSL("vectorMaeRow_predictive_objective_eq_maeLoss"), "exact", "8.2")
def vector_objective_is_mae_loss() -> Finding:
    """The predictive-view objective of a row is the MAE loss over its hidden entries."""
    return objective_gaps(vectors(), "vector objective")


@fact(_SSL("imagePatchMask_pixel_eq_if_hidden"), "exact", "8.2")
def image_mask_chooses() -> Finding:
    """A pixel of the masked image is 0 if its patch is hidden and the image's otherwise, in every channel."""
    return all_same_bits((image_mask(case), expected) for case, expected in chosen(images()))


@fact(_SSL("imagePatchMask_hidden_pixel_eq_zero"), "exact", "8.2")
def image_mask_hides() -> Finding:
    """Pixels of hidden patches are 0."""
    return all_same_bits((image_mask(case)[case.hidden], zeros(case.x[case.hidden])) for case in images())


@fact(_SSL("imagePatchMask_visible_pixel_eq_input"), "exact", "8.2")
def image_mask_keeps() -> Finding:
    """Pixels of visible patches are those of the image."""
    return all_same_bits((image_mask(case)[~case.hidden], case.x[~case.hidden]) for case in images())


@fact(_SSL("imagePatchMaeSample_input_eq_imagePatchMask"), "exact", "8.2")
def image_sample_is_masked() -> Finding:
    """The input of an image MAE sample is the masked images."""
    return all_same_bits((case.given, image_mask(case)) for case in images())


@fact(_SSL("imagePatchMaeSample_input_hidden_pixel_eq_zero"), "exact", "8.2")
def image_sample_hides() -> Finding:
    """Pixels of hidden patches of the input are 0."""
    return all_same_bits((case.given[case.hidden], zeros(case.x[case.hidden])) for case in images())


@fact(_SSL("imagePatchMaeSample_input_visible_pixel_eq_source"), "exact", "8.2")
def image_sample_keeps() -> Finding:
    """Pixels of visible patches of the input are those of the image."""
    return all_same_bits((case.given[~case.hidden], case.x[~case.hidden]) for case in images())


@fact(_SSL("imagePatchMaeSample_target_eq_flattenBatchPrefix"), "exact", "8.2")
def image_target_is_a_prefix() -> Finding:
    """The target of an image MAE sample is the first entries of the flattened original images."""
    return all_same_bits((case.target, rows(case)) for case in images())


@fact(_SSL("imagePatchMaeSample_target_row_eq_flattened_source_row"), "exact", "8.2")
def image_target_row_is_a_source_row() -> Finding:
    """Row b of the target is the first entries of the flattened image b."""
    return all_same_bits((case.target[b], rows(case)[b]) for case in images() for b in range(BATCH))


@fact(_SSL("imagePatchMaeRow_predictive_objective_eq_maeLoss"), "exact", "8.2")
def image_objective_is_mae_loss() -> Finding:
    """The predictive-view objective of a row is the MAE loss over all its reconstruction coordinates."""
    return objective_gaps(images(), "image objective")
