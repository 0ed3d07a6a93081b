"""Facts of executable masks of any rank (reference section 8.2), on `gen_export.spec.masks`, bit for bit."""

import numpy as np

from gen_export.spec.masks import hide, random_hidden, reconstruction_weights
from gen_export.verify.fact import Finding, all_same_bits, fact, worst
from gen_export.verify.facts.mask_cases import CASES, block_mask, blocks, chosen, objective_gaps, rows, zeros
from gen_export.verify.files import random

_SSL = "NN.API.ssl.{}".format
_OURS = "gen_export.masks.{}".format


@fact(
    "BlockMask.apply_scalar_at",
    "exact",
    "8.2",
    aliases=(_SSL("blockMask_scalarAt"), _SSL("scalarAt_blockMaskAux")),
)
def block_mask_chooses() -> Finding:
    """An entry of the masked sample is 0 if its block is hidden and the sample's otherwise, at any rank."""
    return all_same_bits((block_mask(case), expected) for case, expected in chosen(blocks()))


@fact("BlockMask.hidden_scalar_eq_zero", "exact", "8.2", aliases=(_SSL("blockMask_hidden_scalar_eq_zero"),))
def block_mask_hides() -> Finding:
    """Hidden entries of a masked sample are 0."""
    return all_same_bits((block_mask(case)[case.hidden], zeros(case.x[case.hidden])) for case in blocks())


@fact("BlockMask.visible_scalar_eq_input", "exact", "8.2", aliases=(_SSL("blockMask_visible_scalar_eq_input"),))
def block_mask_keeps() -> Finding:
    """Visible entries of a masked sample are those of the sample."""
    return all_same_bits((block_mask(case)[~case.hidden], case.x[~case.hidden]) for case in blocks())


@fact(_SSL("blockMaskBatch_scalarAt"), "exact", "8.2")
def block_mask_of_a_batch() -> Finding:
    """One mask hides the same entries in every sample of a batch."""
    return all_same_bits(
        (hide(case.x, case.mask.hidden(case.x.shape[1:])), expected) for case, expected in chosen(blocks())
    )


@fact(_SSL("blockMaeSample_input_eq_mask"), "exact", "8.2")
def block_sample_is_masked() -> Finding:
    """The input of a block MAE sample is the masked batch."""
    return all_same_bits((case.given, expected) for case, expected in chosen(blocks()))


@fact(_SSL("blockMaeSample_target_eq_source_prefix"), "exact", "8.2")
def block_target_is_a_prefix() -> Finding:
    """The target of a block MAE sample is the first entries of the sample itself, hidden or not."""
    return all_same_bits((case.target, rows(case)) for case in blocks())


@fact(
    "BlockMAE.Proof.row_predictive_objective_eq_mae_loss",
    "exact",
    "8.2",
    aliases=(_SSL("blockMaeRow_predictive_objective_eq_maeLoss"),),
)
def block_objective_is_mae_loss() -> Finding:
    """The predictive-view objective of a row is the MAE loss over its hidden reconstruction indices."""
    chosen = [case.mask.hidden_indices(case.x.shape[1:]) for case in blocks()]
    listed = all_same_bits(
        (found[found < case.width], np.array(case.indices, np.int64))
        for found, case in zip(chosen, blocks(), strict=True)
    )
    gaps = objective_gaps(blocks(), "block objective")
    return Finding(gaps.error + listed.error, 0.0, gaps.cases)


@fact(_OURS("weights_are_a_mean_over_the_hidden"), "tolerance")
def weights_share_one_evenly() -> Finding:
    """reconstructionWeights are 1 / n on the n hidden entries, 0 elsewhere, and all 0 where none is hidden."""
    apart = [
        np.abs(reconstruction_weights(case.expected) * max(1, case.expected.sum()) - case.expected).max()
        for case in blocks()
    ]
    return worst(apart, 2.0**-52, len(apart))  # a quotient and a product round once each


@fact(_OURS("random_hides_the_share"), "exact")
def random_masks_hide_a_share() -> Finding:
    """A random mask hides round(ratio P) patches of each sample, those with the smallest numbers."""
    rng, wrong = random("random masks"), 0
    draws = [(rng.random((4, int(rng.integers(2, 40)))), float(rng.random())) for _ in range(CASES)]
    for uniforms, ratio in draws:
        hidden, number = random_hidden(uniforms, ratio), round(ratio * uniforms.shape[1])
        smallest = np.sort(uniforms, axis=1)[:, :number]
        wrong += sum(set(u[h].tolist()) != set(s.tolist()) for u, h, s in zip(uniforms, hidden, smallest, strict=True))
    return Finding(float(wrong), 0.0, CASES)
