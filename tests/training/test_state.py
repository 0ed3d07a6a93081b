"""What training changes: the average of the weights, the seeds of the steps, and the tensors of a checkpoint."""

import numpy as np
import torch

from gen_export.models.family import Batch
from gen_export.training import state as state_module
from gen_export.training.settings import TrainSettings
from gen_export.training.state import TrainState, ema_update, step_seed


def state_of(family, **settings):
    return TrainState(family, TrainSettings(**settings), torch.device("cpu"))


def descend(state, seed):
    """One optimiser step on random images."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand((2, *state.model.image.chw), generator=rng) * 2 - 1
    for player in state.players:
        with state.turn(player):
            next(iter(player.losses(Batch(x), rng).values())).backward()
        state.optimizers[player.name].step()
        state.optimizers[player.name].zero_grad()
    state.ema.update_parameters(state.model)
    state.step += 1


def test_the_average_is_that_of_a_loop_by_hand():
    """Average += (current - average) (1 - min(decay, (1 + n) / (10 + n))), in float64."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((200, 5))
    averaged, by_hand = torch.from_numpy(values[0].copy()), values[0].copy()
    for n, current in enumerate(values[1:], 1):
        ema_update(0.9, lambda n=n: n)([averaged], [torch.from_numpy(current)], n)
        by_hand += (current - by_hand) * (1 - min(0.9, (1 + n) / (10 + n)))

    assert np.allclose(averaged.numpy(), by_hand, rtol=1e-12)


def test_the_average_of_constant_weights_is_those_weights():
    averaged = torch.tensor([2.0, -3.0])
    ema_update(0.999, lambda: 5)([averaged], [torch.tensor([2.0, -3.0])], torch.tensor(5))

    assert averaged.tolist() == [2.0, -3.0]


def test_the_first_step_sets_the_average_to_the_weights(build_family):
    state = state_of(build_family("vae"))
    descend(state, 0)

    for value, averaged in zip(state.model.parameters(), state.ema.module.parameters(), strict=True):
        assert torch.equal(value, averaged)


def test_every_step_and_every_seed_has_noise_of_its_own():
    seeds = {step_seed(seed, step) for seed in (0, 1, -1, 2**63 - 1) for step in range(2000)}

    assert len(seeds) == 8000
    assert all(0 <= value < 2**63 for value in seeds)


def test_the_seed_of_a_step_does_not_change_between_versions():
    """A resumed run must draw what the stopped one would have drawn: NumPy's SeedSequence is stable by contract."""
    assert step_seed(0, 0) == int(np.random.SeedSequence([0, 0]).generate_state(1, np.uint64)[0]) // 2
    assert step_seed(-1, 3) == step_seed(2**64 - 1, 3)


def test_restoring_gives_back_weights_average_and_moments_bit_for_bit(build_family):
    state = state_of(build_family("diffusion"))
    for seed in range(3):
        descend(state, seed)
    saved = {name: value.clone() for name, value in state.tensors().items()}
    fresh = state_of(build_family("diffusion", seed=9))
    fresh.restore(saved, 3)

    restored = fresh.tensors()
    assert fresh.step == 3
    assert list(restored) == list(saved)
    assert all(torch.equal(restored[name], saved[name]) for name in saved)


def test_a_restored_state_goes_on_as_the_one_it_was_taken_from(build_family):
    state = state_of(build_family("vae"))
    for seed in range(3):
        descend(state, seed)
    fresh = state_of(build_family("vae", seed=9))
    fresh.restore({name: value.clone() for name, value in state.tensors().items()}, 3)
    descend(state, 7)
    descend(fresh, 7)

    assert all(torch.equal(value, fresh.tensors()[name]) for name, value in state.tensors().items())


def test_a_checkpoint_holds_two_sets_of_weights_and_two_moments_and_a_step_for_each_parameter(build_family):
    state = state_of(build_family("vae"))
    descend(state, 0)
    names = list(state.tensors())
    parameters = len(list(state.model.parameters()))

    assert sum(name.startswith("model.") for name in names) == parameters
    assert sum(name.startswith("ema.") for name in names) == parameters
    assert sum(name.startswith("optimizer.") for name in names) == 3 * parameters


def test_restored_moments_have_the_layout_of_their_parameters(build_family, monkeypatch):
    """Fused AdamW walks parameter and moment with one stride: one of another layout would mix up their entries."""
    monkeypatch.setattr(state_module, "memory_layout", lambda device: torch.channels_last)
    state = state_of(build_family("diffusion"))
    descend(state, 0)
    fresh = state_of(build_family("diffusion"))
    fresh.restore(state.tensors(), 1)

    moments = [(p, fresh.optimizers["denoiser"].state[p]["exp_avg"]) for p in fresh.model.parameters()]
    assert any(p.ndim == 4 and not p.is_contiguous() for p, _ in moments)
    for parameter, moment in moments:
        assert moment.stride() == parameter.stride()
        assert torch.equal(
            moment, state.optimizers["denoiser"].state[dict(state_pairs(state, fresh))[parameter]]["exp_avg"]
        )


def state_pairs(state, fresh):
    """Each parameter of the one with its twin in the other."""
    return zip(fresh.model.parameters(), state.model.parameters(), strict=True)
