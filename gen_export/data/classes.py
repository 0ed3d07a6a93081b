"""Names for the classes of a set of images, as options of commands and arguments of functions can have them."""

import re

from gen_export.data.image_set import ImageSet
from gen_export.errors import DataError
from gen_export.spec.guidance import ANY, EACH

MOST_CLASSES = 1000
"""Classes of a model: their names are in each of its files."""


def class_names(images: ImageSet) -> tuple[str, ...]:
    """A different identifier for each class that images are labelled with: `T_shirt_top` of T-shirt/top.

    Raises:
        DataError: The set has no labels, or more classes than a model can be told of.
    """
    if images.labels is None:
        raise DataError(f"{images.name}: expected images with labels, found none")
    count = len(images.label_names) or int(images.labels.max()) + 1
    if count > MOST_CLASSES:
        raise DataError(f"{images.name}: expected at most {MOST_CLASSES} classes, found {count}")
    names: list[str] = []
    for number, told in enumerate(images.label_names or [""] * count):
        name = re.sub(r"\W+", "_", told, flags=re.ASCII).strip("_") or str(number)
        name = name if name.isidentifier() else f"class_{name}"
        while name in (ANY, EACH, *names):
            name = f"{name}_{number}"
        names.append(name)
    return tuple(names)
