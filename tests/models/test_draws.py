"""The parts of a batch together draw what the whole batch draws."""

import math
from functools import partial

import pytest
import torch

from gen_export.models.draws import Drawn, Given, draw_rows, part_of_batch, pick_rows
from gen_export.models.family import Batch

DRAWS = [torch.randn, torch.rand, partial(torch.randint, -2, 9)]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def in_parts(parts, drawn):
    """What each part draws, from its number and a generator that stands where those of the others do."""
    found = []
    for index in range(parts):
        with part_of_batch(index, parts):
            found.append(drawn(index, generator()))
    return found


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_rows_of_the_parts_are_those_of_the_whole(draw, parts):
    whole = draw((6, 4), generator=torch.Generator().manual_seed(5))
    drawn = in_parts(parts, lambda _, rng: draw_rows(draw, (6 // parts, 4), rng))

    assert torch.equal(torch.cat(drawn), whole)


def test_every_part_stands_in_the_same_place_afterwards():
    def then(_, rng):
        draw_rows(torch.randn, (3, 4), rng)
        return torch.rand(5, generator=rng)

    assert torch.equal(*in_parts(2, then))


def test_outside_a_part_the_batch_is_whole_even_after_an_error():
    with pytest.raises(KeyError), part_of_batch(1, 2):
        raise KeyError

    assert torch.equal(draw_rows(torch.randn, (3, 4), generator()), torch.randn((3, 4), generator=generator()))


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_rows_picked_by_the_parts_add_up_to_those_picked_from_the_whole(parts):
    values = torch.randn((8, 3), generator=torch.Generator().manual_seed(0))
    whole = values[(8 * torch.rand(20, generator=generator())).long()]
    picked = in_parts(parts, lambda index, rng: pick_rows(values.chunk(parts)[index], 20, rng))

    assert torch.equal(torch.stack(picked).sum(0), whole)


@pytest.mark.parametrize("rows", [1, 3, 10, 2**20])
def test_the_ends_of_the_unit_interval_pick_the_first_row_and_the_last(rows):
    values = torch.arange(rows)
    ends = torch.tensor([0.0, 1.0 - 2.0**-24])

    assert pick_rows(values, 2, Given([ends])).tolist() == [0, rows - 1]


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_rows_picked_by_given_numbers_add_up_too(parts):
    values = torch.arange(1.0, 9.0).reshape(8, 1)
    numbers = torch.tensor([0.0, 0.99, 0.5, 0.25, 0.124, 0.125])
    picked = in_parts(parts, lambda index, _: pick_rows(values.chunk(parts)[index], 6, Given([numbers])))

    assert torch.stack(picked).sum(0).flatten().tolist() == [1, 8, 5, 3, 1, 2]


def test_what_is_asked_for_is_noted_and_drawn_where_nothing_is_given():
    asked = Given()
    law = partial(torch.randint, -2, 9)
    images, levels = draw_rows(torch.randn, (3, 1, 4), asked), draw_rows(law, (3,), asked)
    picked = pick_rows(torch.ones(5, 2), 7, asked)

    assert asked.asked == [Drawn(torch.randn, (1, 4), True), Drawn(law, (), True), Drawn(torch.rand, (7,), False)]
    assert [tuple(each.shape) for each in (images, levels, picked)] == [(3, 1, 4), (3,), (7, 2)]
    assert (levels >= -2).all()
    assert (levels < 9).all()


def test_given_numbers_are_handed_back_in_the_order_in_which_they_are_asked_for():
    numbers = [torch.full((3, 4), 7.0), torch.tensor([5, 6, 7])]
    given = Given(numbers)

    assert draw_rows(torch.randn, (3, 4), given) is numbers[0]
    assert draw_rows(partial(torch.randint, 9), (3,), given) is numbers[1]
    with pytest.raises(IndexError):
        draw_rows(torch.randn, (3, 4), given)


# array_api_compat's look-up of a namespace, which has no side effects.
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@pytest.mark.parametrize("name", ["vae", "diffusion"])
def test_compiled_losses_draw_the_rows_of_their_part(build_family, name):
    """Through dynamo alone, which needs no compiler."""
    family = build_family(name).train()
    batch = Batch(torch.linspace(-1, 1, 2 * math.prod(family.image.chw)).reshape(2, *family.image.chw))
    plain = family.players()[0].losses
    torch.compiler.reset()
    whole = torch.compile(plain, backend="eager")
    for found, expected in zip(*(in_parts(2, lambda _, rng, f=f: f(batch, rng)) for f in (whole, plain)), strict=True):
        first = next(iter(expected))
        torch.testing.assert_close(found[first], expected[first])
