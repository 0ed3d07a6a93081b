import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gen_export.data import SpriteFactors, SpriteSet, open_data, render_sprites, sprite_factors
from gen_export.data.sprites import PALETTE, SHAPES
from gen_export.spec.noise import sample_keys, seed_bits, squares_word


def factors(shape: str, **changes: float) -> SpriteFactors:
    """One centred sprite, blue and upright with radius 10, with some factors changed."""
    values = {"colour": 5, "size": 10.0, "angle": 0.0, "x": 16.0, "y": 16.0, **changes}
    return SpriteFactors(np.array([list(SHAPES).index(shape)]), *(np.array([v]) for v in values.values()))


def mass(picture: np.ndarray) -> np.ndarray:
    """Where the sprite is: the brightness above half way to its colour, [32, 32]."""
    return (picture.astype(float).max(-1) > 160).astype(float)


def centroid(weights: np.ndarray) -> tuple[float, float]:
    """The centre of mass (x, y) in pixels from the top left corner."""
    y, x = np.indices(weights.shape) + 0.5
    return (x * weights).sum() / weights.sum(), (y * weights).sum() / weights.sum()


@given(seed=st.integers(-(2**63), 2**63 - 1), i=st.integers(0, 19_999))
def test_an_image_depends_on_the_seed_and_its_number_alone(seed: int, i: int) -> None:
    alone = SpriteSet(1, first=i, seed=seed).images(np.array([0]))
    among = SpriteSet(20_000, seed=seed).images(np.array([7, i, 0]))

    assert np.array_equal(alone[0], among[1])


def test_another_seed_draws_other_sprites() -> None:
    assert SpriteSet(8, seed=0).fingerprint() != SpriteSet(8, seed=1).fingerprint()


def test_factors_are_words_of_the_counter_based_generator() -> None:
    words = squares_word(np.arange(6, dtype=np.uint64), sample_keys(seed_bits(3), np.array([11], np.uint64)))
    u = words / 2**32
    found = sprite_factors(3, np.array([11]))

    assert found.shape == int(8 * u[0])
    assert found.colour == int(8 * u[1])
    np.testing.assert_allclose(found.size, 6 + 4 * u[2])
    np.testing.assert_allclose(found.angle, 360 * u[3])
    np.testing.assert_allclose([found.x[0], found.y[0]], 11 + 10 * u[4:6])


@pytest.mark.parametrize(("name", "low", "high"), [("size", 6, 10), ("angle", 0, 360), ("x", 11, 21), ("y", 11, 21)])
def test_continuous_factors_are_uniform(name: str, low: float, high: float) -> None:
    values = getattr(sprite_factors(0, np.arange(20_000)), name)

    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", ["shape", "colour"])
def test_discrete_factors_are_uniform(name: str) -> None:
    counts = np.bincount(getattr(sprite_factors(0, np.arange(20_000)), name), minlength=8)

    assert len(counts) == 8
    assert stats.chisquare(counts).pvalue > 1e-3


def test_labels_are_the_shapes() -> None:
    sprites = SpriteSet(50, first=30)

    assert sprites.labels is not None
    assert np.array_equal(sprites.labels, sprite_factors(0, np.arange(30, 80)).shape)
    assert sprites.label_names == tuple(SHAPES)


def test_the_parts_are_20000_and_2000_and_share_no_sprite() -> None:
    train, test = open_data("sprites", "train"), open_data("sprites", "test")

    assert (len(train), len(test)) == (20_000, 2_000)
    assert np.array_equal(test.images(np.array([0]))[0], SpriteSet(20_001).images(np.array([20_000]))[0])


@pytest.mark.parametrize(("shape", "area"), [("circle", np.pi * 8.5**2), ("square", 14.4**2), ("cross", 192.0)])
def test_a_shape_covers_its_area(shape: str, area: float) -> None:
    """Areas in pixels of a sprite of radius 10: a disc of 8.5, a square of 14.4, bars of 19 x 6."""
    covered = np.mean([mass(render_sprites(factors(shape, angle=a))[0]).sum() for a in range(0, 360, 7)])

    assert covered == pytest.approx(area, rel=0.06)


@pytest.mark.parametrize("shape", ["circle", "ring", "square", "cross", "star"])
@pytest.mark.parametrize(("x", "y"), [(16.0, 16.0), (11.0, 20.5), (21.0, 12.25)])
def test_a_sprite_is_centred_where_its_factors_say(shape: str, x: float, y: float) -> None:
    weights = mass(render_sprites(factors(shape, x=x, y=y))[0])

    assert centroid(weights) == pytest.approx((x, y), abs=0.35)


def test_the_angle_turns_counter_clockwise() -> None:
    """The moon's bite is to its right, so its mass is left; a quarter turn brings that to the bottom."""
    left = centroid(mass(render_sprites(factors("moon"))[0]))
    bottom = centroid(mass(render_sprites(factors("moon", angle=90.0))[0]))

    assert left[0] < 14
    assert left[1] == pytest.approx(16, abs=0.35)
    assert bottom[1] > 18
    assert bottom[0] == pytest.approx(16, abs=0.35)


def test_a_quarter_turn_is_exactly_the_turned_picture() -> None:
    """The ground differs from row to row, so the pictures are compared where the sprite covers them."""
    upright = mass(render_sprites(factors("heart"))[0])
    turned = mass(render_sprites(factors("heart", angle=90.0))[0])

    assert np.abs(np.rot90(upright) - turned).sum() <= 4


@pytest.mark.parametrize(
    ("shape", "symmetry"), [("triangle", 120.0), ("star", 72.0), ("square", 90.0), ("cross", 90.0)]
)
def test_a_shape_repeats_after_its_symmetry_and_not_before(shape: str, symmetry: float) -> None:
    upright, whole, half = (
        render_sprites(factors(shape, angle=a))[0].astype(int) for a in (0.0, symmetry, symmetry / 2)
    )

    assert np.abs(upright - whole).max() <= 1
    assert np.abs(upright - half).max() > 100


def test_the_size_scales_the_area() -> None:
    small, large = (mass(render_sprites(factors("circle", size=s))[0]).sum() for s in (6.0, 10.0))

    assert large / small == pytest.approx((10 / 6) ** 2, rel=0.08)


@pytest.mark.parametrize("colour", range(8))
def test_the_centre_has_the_colour_of_the_palette(colour: int) -> None:
    picture = render_sprites(factors("square", colour=colour))[0]

    assert picture[16, 16].tolist() == list(list(PALETTE.values())[colour])


def test_edges_are_smooth() -> None:
    """A disc of radius 8.5 has an edge of about 53 pixels, most of them between the ground and the colour."""
    blue = render_sprites(factors("circle"))[0][..., 2].astype(int)

    assert ((blue > 140) & (blue < 250)).sum() > 20


@pytest.mark.parametrize("shape", list(SHAPES))
def test_no_sprite_leaves_its_picture(shape: str) -> None:
    corners = [(11.0, 11.0), (21.0, 21.0)]
    for x, y in corners:
        for angle in range(0, 360, 15):
            weights = mass(render_sprites(factors(shape, angle=angle, x=x, y=y))[0])
            border = weights[[0, -1]].sum() + weights[:, [0, -1]].sum()

            assert border == 0, (x, y, angle)
