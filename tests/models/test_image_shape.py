"""The image shapes that a family takes."""

import pytest

from gen_export.errors import ConfigError
from gen_export.models.family import ImageShape


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 12), (1, 28, 28), (3, 64, 32), (1, 4, 4)], ids=str)
def test_multiples_of_four_are_taken(shape):
    assert ImageShape(*shape).chw == shape


@pytest.mark.parametrize("size", [(0, 0), (2, 8), (10, 12), (12, 10), (0, 8), (31, 31)], ids=str)
def test_other_sizes_are_refused_with_the_size_and_the_way_out(size):
    with pytest.raises(ConfigError, match=rf"^image: .*found {size[0]}x{size[1]} \(.*--image-size\)$"):
        ImageShape(3, *size)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(channels):
    with pytest.raises(ConfigError, match=f"image: expected 1 or 3 channels, found {channels}"):
        ImageShape(channels, 8, 8)
