"""Names of classes, made of whatever a set calls them."""

import numpy as np
import pytest

from gen_export.data.classes import class_names
from gen_export.data.image_set import ArraySet
from gen_export.errors import DataError


def labelled(names=(), labels=(0, 1), many=2):
    return ArraySet("set", np.zeros((many, 4, 4), np.uint8), np.array(labels), tuple(names))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("T-shirt/top", "Ankle boot"), ("T_shirt_top", "Ankle_boot")),
        (("7", "2nd class"), ("class_7", "class_2nd_class")),
        (("any", "each"), ("any_0", "each_1")),
        (("a b", "a-b", "a.b"), ("a_b", "a_b_1", "a_b_2")),
        (("a", "a_2", "a"), ("a", "a_2", "a_2_2")),
        (("é", "!"), ("class_0", "class_1")),
        ((), ("class_0", "class_1")),
    ],
    ids=str,
)
def test_every_class_has_an_identifier_of_its_own(names, expected):
    assert class_names(labelled(names)) == expected


def test_a_set_without_labels_is_refused():
    with pytest.raises(DataError, match="set: expected images with labels, found none"):
        class_names(ArraySet("set", np.zeros((2, 4, 4), np.uint8)))


def test_more_classes_than_a_file_can_name_are_refused():
    with pytest.raises(DataError, match="set: expected at most 1000 classes, found 5001"):
        class_names(labelled(labels=(0, 5000)))
