"""What every registered family keeps, whichever it is: a new one is tested by being registered."""

import inspect

import numpy as np
import pytest
import torch

from gen_export.errors import ConfigError
from gen_export.models import FAMILIES, family_class
from gen_export.models.family import Batch, Family, ImageShape, config_from
from gen_export.models.recipes import Denoising, OneShot
from gen_export.training.preview import picture, sample
from tests import tiny

CASES = [
    *((name, {}) for name in FAMILIES),
    ("diffusion", {"net": "residual"}),
    ("diffusion", {"schedule": "linear"}),
    *tiny.LABELLED.values(),
]
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 8, 12)]
SAMPLERS = [name for name in FAMILIES if family_class(name).main == "sample"]
WITHOUT_NOISE = ("autoencoder", "vqvae", "classifier")
every_sampler = pytest.mark.parametrize("name", SAMPLERS)
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=str)


def labelled(family: Family, batch: int, seed: int = 0) -> Batch:
    return Batch(images(family, batch, seed), torch.arange(batch))


def images(family: Family, batch: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((batch, *family.image.chw), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def arguments(graph, batch: int, seed: int = 0) -> list[torch.Tensor]:
    """Tensors that a graph's ports allow."""
    rng = torch.Generator().manual_seed(seed)
    values = []
    for port in graph.inputs:
        shape = [batch if isinstance(extent, str) else extent for extent in port.shape]
        if port.dtype == "int64":
            values.append(torch.randint(int(port.minimum), int(port.maximum) + 1, shape, generator=rng))
        elif port.default is not None:
            values.append(torch.tensor(port.default))
        elif port.dtype == "bool":
            values.append(torch.rand(shape, generator=rng) < 0.5)
        else:
            values.append(torch.randn(shape, generator=rng).clamp(-1, 1))
    return values


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_what_its_register_line_says(name):
    cls = family_class(name)

    assert issubclass(cls, Family)
    assert cls.name == name
    assert not inspect.isabstract(cls)


def test_a_family_that_is_not_registered_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"^family: expected one of autoencoder, .*, classifier, found 'flow'$"):
        family_class("flow")


def test_the_register_imports_no_torch(run_python):
    code = "import sys, gen_export.models, gen_export.models.recipes; sys.exit('torch' in sys.modules)"

    assert run_python("-c", code).returncode == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_an_unknown_option_is_refused_by_name(name):
    with pytest.raises(ConfigError, match="option 'colour': expected one of"):
        config_from(family_class(name).Config, {"colour": "red"})


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("vae", "size", "huge"),
        ("vae", "latent", 0),
        ("vae", "latent", 65_537),
        ("vae", "beta", -0.1),
        ("vae", "beta", float("nan")),
        ("vae", "beta", float("inf")),
        ("diffusion", "net", "transformer"),
        ("diffusion", "size", "huge"),
        ("diffusion", "schedule", "sigmoid"),
        ("diffusion", "predict", "x"),
        ("diffusion", "states", -1),
        ("diffusion", "states", 4001),
    ],
)
def test_a_value_outside_an_options_range_is_refused_with_the_option_and_the_value(name, option, value):
    with pytest.raises(ConfigError, match=f"^{option}: expected .*found {value!r}$"):
        config_from(family_class(name).Config, {option: value})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@every_case
def test_every_graph_returns_what_its_ports_declare(build_family, name, options, shape):
    family = build_family(name, shape, **options)

    for graph in family.graphs():
        with torch.no_grad():
            result = graph.function(*arguments(graph, batch=3))
        values = result if isinstance(result, tuple) else (result,)
        found = [(str(value.dtype), [*value.shape]) for value in values]
        ports = (*graph.outputs, *graph.inner)
        shapes = [[3 if isinstance(axis, str) else axis for axis in port.shape] for port in ports]
        dtypes = [f"torch.{port.dtype}" for port in ports]
        assert found == list(zip(dtypes, shapes, strict=True)), graph.name


@pytest.mark.parametrize("name", FAMILIES)
def test_names_of_graphs_and_ports_are_not_used_twice(build_family, name):
    graphs = build_family(name).graphs()

    assert len({graph.name for graph in graphs}) == len(graphs)
    for graph in graphs:
        ports = [port.name for port in (*graph.inputs, *graph.outputs, *graph.inner)]
        assert len(set(ports)) == len(ports), graph.name


@every_case
def test_all_losses_are_finite_scalars_and_no_two_players_share_a_name(build_family, name, options):
    family = build_family(name, **options)
    players = family.players()
    found = [player.losses(labelled(family, 4), torch.Generator().manual_seed(0)) for player in players]

    assert len({player.name for player in players}) == len(players)
    assert sum(map(len, found)) == len({term for losses in found for term in losses})
    assert all(value.shape == () and torch.isfinite(value) for losses in found for value in losses.values())


@every_case
def test_every_parameter_belongs_to_exactly_one_player_and_someone_plays_at_every_moment(build_family, name, options):
    family = build_family(name, **options)
    moved = [parameter for player in family.players() for parameter in player.parameters()]

    assert len(set(moved)) == len(moved)
    assert set(moved) == set(family.parameters())
    for share in (0.0, 0.25, 0.5, 0.75, 0.999):
        assert any(player.begin <= share < player.end for player in family.players())


@every_case
def test_losses_are_a_function_of_the_images_and_the_generator(build_family, name, options):
    family = build_family(name, **options)
    x = labelled(family, 4)
    first, again, other = (
        [value.item() for value in family.losses(x, torch.Generator().manual_seed(seed)).values()] for seed in (1, 1, 2)
    )

    assert first == again
    assert (first != other) == (name not in WITHOUT_NOISE) or "classes" in options  # withheld at random, if any


@every_case
def test_the_gradient_reaches_every_parameter_after_a_few_steps_from_fresh_weights(name, options):
    cls = family_class(name)
    torch.manual_seed(0)
    family = cls(config_from(cls.Config, {**tiny.OPTIONS[name], **options}), ImageShape(3, 8, 8))
    seen: set[torch.Tensor] = set()
    for player in family.players():
        optimizer = torch.optim.AdamW(player.parameters(), lr=1e-3)
        for step in range(4):
            family.zero_grad()
            losses = player.losses(labelled(family, 4, seed=step), torch.Generator().manual_seed(step))
            next(iter(losses.values())).backward()
            optimizer.step()
        seen |= {value for value in player.parameters() if value.grad is not None and value.grad.any()}

    assert [name for name, value in family.named_parameters() if value not in seen] == []


@every_sampler
def test_a_recipe_samples_images_of_the_familys_shape_in_range(build_family, name):
    family = build_family(name, (3, 8, 12))
    recipe = family.recipe()

    drawn = sample(family, recipe, 3, np.arange(2), **({"steps": 4} if isinstance(recipe, Denoising) else {}))

    assert drawn.shape == (2, 3, 8, 12)
    assert drawn.abs().max() <= 1.0 + 1e-6
    assert drawn[0].ne(drawn[1]).any()


@every_sampler
def test_a_sampled_image_does_not_depend_on_its_batch(build_family, name):
    """Within the rounding of one convolution that another batch size may sum in another order: one grey level."""
    family = build_family(name)
    recipe = family.recipe()
    options = {"steps": 2} if isinstance(recipe, Denoising) else {}

    many, few = (picture(family, recipe, 5, count, **options).astype(int) for count in (4, 2))

    assert many.shape == (4, 8, 8, 1)
    assert np.abs(many[:2] - few).max() <= 1


@every_sampler
def test_the_recipe_names_declared_graphs(build_family, name):
    family = build_family(name)

    assert {*family.recipe().graphs} <= {graph.name for graph in family.graphs()}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_main_graph_is_the_sampler_or_a_declared_graph(build_family, name):
    family = build_family(name)

    assert (family.main == "sample") == (family.recipe() is not None)
    assert family.main == "sample" or family.main in [graph.name for graph in family.graphs()]


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_family_rebuilds_has_the_shape_of_the_images(build_family, name):
    family = build_family(name)
    x = images(family, 3)

    assert all(row.shape == x.shape for row in family.rebuild(x))


def test_a_one_shot_recipe_has_no_options_and_a_loop_has_steps_eta_and_solver(build_family):
    assert OneShot((4,)).options == {}
    assert build_family("diffusion").recipe().options == {"steps": 50, "eta": 0.0, "solver": 0}
    assert build_family("diffusion", states=7).recipe().options == {"steps": 7, "eta": 0.0, "solver": 0}
