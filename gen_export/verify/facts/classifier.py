"""Facts of ours about an exported classifier, whose features measure other models."""

import numpy as np

from gen_export.spec.categorical import log_softmax
from gen_export.verify.fact import Finding, fact, same_bits
from gen_export.verify.facts.agreement import UNIT, close
from gen_export.verify.files import Files, random
from gen_runtime.inputs import Array

BATCH = 4
"""A power of two, so that a share of the images is a float32 number."""
LARGEST = 20.0
"""Of the log odds put in: far enough apart that some probabilities are 1 in float32."""
_CLASSIFIER = ("classifier",)


@fact(
    "gen_export.classifier.objective_passes_the_parts",
    "tolerance",
    families=_CLASSIFIER,
    graphs=("classify", "objective"),
)
def objective_passes_the_parts(files: Files) -> Finding:
    """The objective's logits are those of classify(image)."""
    inputs = files.inputs("objective", BATCH, "classifier objective")
    logits = files.run("objective", inputs, inner=("logits",))["logits"]
    return close(logits, files.run("classify", {"image": inputs["image"]})["logits"], BATCH)


@fact("gen_export.classifier.loss_is_the_cross_entropy", "tolerance", families=_CLASSIFIER, graphs=("objective",))
def loss_is_the_cross_entropy(files: Files) -> Finding:
    """loss = mean of -log softmax(logits)_label, in nats, for logits put in its place."""
    inputs, logits = _put(files)
    expected = -log_softmax(logits.astype(np.float64))[np.arange(BATCH), inputs["label"]].mean()
    found = files.run("objective", inputs, put={"logits": logits})["loss"]
    # Differences, exponentials, their sum, its logarithm, and the mean of numbers up to 2 LARGEST.
    bound = UNIT * (logits.shape[1] + BATCH + 8) * 2 * LARGEST
    return Finding(abs(float(found) - expected), bound, BATCH)


@fact("gen_export.classifier.accuracy_is_the_share_of_right_ones", "exact", families=_CLASSIFIER, graphs=("objective",))
def accuracy_is_the_share_of_right_ones(files: Files) -> Finding:
    """accuracy = the share of images whose largest logit is that of their label."""
    inputs, logits = _put(files)
    shares = []
    for right in range(BATCH + 1):
        logits[np.arange(BATCH), inputs["label"]] = np.where(np.arange(BATCH) < right, 2 * LARGEST, -2 * LARGEST)
        shares.append(files.run("objective", inputs, put={"logits": logits})["accuracy"])
    return same_bits(shares, np.arange(BATCH + 1, dtype=np.float32) / BATCH, BATCH + 1)


def _put(files: Files) -> tuple[dict[str, Array], Array]:
    """Inputs of the objective, and log odds (batch, classes) to put in place of its own."""
    inputs = files.inputs("objective", BATCH, "classifier objective")
    classes = files.run("classify", {"image": inputs["image"]})["logits"].shape[1]
    return inputs, random("classifier logits").uniform(-LARGEST, LARGEST, (BATCH, classes)).astype(np.float32)
