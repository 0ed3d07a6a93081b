"""Facts of ours about a diffusion model's files: each is made of the others, and of the equations of the mathematics.

The parts are recomputed from the file `denoise` with the lines of `gen_export.spec` in float32. A network that stands
in another graph may be fused otherwise, so its output may differ by `NETWORK`, and what is made of it accordingly.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gen_export.spec.diffusion import PREDICTIONS, TARGETS, image_ddim_law, image_x0
from gen_export.spec.samplers import solve
from gen_export.spec.schedules import noisy_alpha_bars, trailing_state
from gen_export.spec.solvers import SOLVERS
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.forward_law import rate_errors
from gen_export.verify.files import Files, random
from gen_export.verify.process import (
    DIFFUSION,
    SCALE,
    alpha_bars,
    denoised,
    guidance,
    guided,
    image_shape,
    noised,
    stepped,
)
from gen_export.verify.rounding import NETWORK, UNIT, in_units

BATCH = 4
# One rounding of a network's output, in shares of its largest.
JITTER = UNIT
ETAS = (0.0, 0.3, 1.0)
PATH = 6
SIZES = (lambda x: float(np.abs(x).max()), lambda x: float(np.sqrt(np.square(x, dtype=np.float64).mean())))
"""The largest number of an array, and its root mean square."""
RUNS = ((1, 0.0, "ddim"), (3, 0.5, "ddim"), (7, 0.0, "ddim"), (3, 0.0, "ddpm"), (5, 0.0, "euler"), (4, 0.0, "heun"))
RUNS += ((5, 0.0, "dpmpp_2m"), (1, 0.0, "ddim_spec"), (1, 0.0, "ddim_image"))
# What a few roundings of pixels near 1 come to, whatever the network does: an eighth of a thousandth of a level.
ROUNDINGS = 2.0**-20
# The full samplers make as many calls as there are states.
MOST_STATES = 100
_OURS = "gen_export.diffusion.{}".format
Denoiser = Callable[[np.ndarray, int], np.ndarray]


def network_error(eps_hat: np.ndarray) -> float:
    """How far the predicted noise may be from that of the same network in another graph."""
    return NETWORK * float(np.abs(eps_hat).max())


def _trained_on(files: Files, purpose: str) -> dict[str, np.ndarray]:
    """The objective's inputs: states 1 and T among them."""
    inputs = files.inputs("objective", BATCH, purpose)
    inputs["t"][:2] = 1, len(alpha_bars(files)) - 1
    return inputs


@fact(
    "noisedSampleFromNoise_input_eq_qSample",
    "tolerance",
    "6.7",
    hypotheses="entry i of the image table is alpha_bar_{i+1}",
    families=DIFFUSION,
    graphs=("objective",),
)
def training_input_is_the_noised_image(files: Files) -> Finding:
    """What the objective shows its network at index i is qSample at state i + 1; time is an input of its own here."""
    inputs = _trained_on(files, "training input")
    inputs["t"] = inputs["t"].clip(1, None)
    abar = noisy_alpha_bars(alpha_bars(files))[inputs["t"] - 1].reshape(-1, 1, 1, 1)
    a, b = np.sqrt(abar), np.sqrt(1.0 - abar)
    x0, eps = inputs["x0"], inputs["eps"]
    a_error, b_error = rate_errors(a, b)
    allowed = (a_error + 2.0 * UNIT * a) * np.abs(x0) + (b_error + 2.0 * UNIT * b) * np.abs(eps)
    return in_units(files.run("objective", inputs, inner=("x",))["x"], a * x0 + b * eps, allowed, BATCH)


def _two_terms(files: Files, purpose: str, sign: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The file's a x0 + b (sign eps), and its a x0 and b eps alone."""
    inputs = _trained_on(files, purpose)
    x0, t, eps = (inputs[name] for name in ("x0", "t", "eps"))
    return noised(files, x0, t, np.float32(sign) * eps), noised(files, x0, t, 0 * eps), noised(files, 0 * x0, t, eps)


@fact("float_add_eq_addSpec", "exact", "6.7", families=DIFFUSION, graphs=("noising",))
def runtime_adds_as_specified(files: Files) -> Finding:
    """The runtime's float addition is the specified one, IEEE 754's: of the two terms of the file's noised image."""
    both, image, noise = _two_terms(files, "addition", 1.0)
    return same_bits(both, image + noise, both.size)


@fact("float_sub_eq_subSpec", "exact", "6.7", families=DIFFUSION, graphs=("noising",))
def runtime_subtracts_as_specified(files: Files) -> Finding:
    """The runtime's float subtraction is the specified one: with noise -eps the file gives the terms' difference."""
    both, image, noise = _two_terms(files, "subtraction", -1.0)
    return same_bits(both, image - noise, both.size)


@fact(_OURS("objective_noises"), "exact", families=DIFFUSION, graphs=("objective", "noising"))
def objective_noises_as_noising_does(files: Files) -> Finding:
    """The images that the objective's network sees are those of the file `noising`, bit for bit."""
    inputs = _trained_on(files, "objective noising")
    found = files.run("objective", inputs, inner=("x",))["x"]
    return same_bits(found, noised(files, inputs["x0"], inputs["t"], inputs["eps"]), BATCH)


@fact(_OURS("objective_predicts"), "tolerance", families=DIFFUSION, graphs=("objective", "denoise"))
def objective_predicts_as_denoise_does(files: Files) -> Finding:
    """The noise that the objective predicts is denoise(noising(x0, t, eps), t)."""
    inputs = _trained_on(files, "objective prediction")
    run = files.run("objective", inputs, inner=("x", "eps_hat"))
    expected = denoised(files, run["x"], inputs["t"])
    return in_units(run["eps_hat"], expected, network_error(expected), BATCH, "in units of a network's error")


def _noise_loss(files: Files) -> str:
    """The output with the squared error of the noise: an own one where another is minimised."""
    outputs = [port.name for port in files.probe("objective").graph.card.outputs]
    return "epsilon_loss" if "epsilon_loss" in outputs else "loss"


@fact(_OURS("loss"), "tolerance", families=DIFFUSION, graphs=("objective",))
def loss_is_the_mean_squared_error(files: Files) -> Finding:
    """epsPredLoss: the mean over all elements of (eps_hat - eps)^2, of the file's own eps_hat."""
    inputs = _trained_on(files, "objective loss")
    run = files.run("objective", inputs, inner=("eps_hat",))
    squares = (run["eps_hat"].astype(np.float64) - inputs["eps"]) ** 2
    # Three roundings a term and one an addition, of numbers that are not negative.
    return in_units(run[_noise_loss(files)], squares.mean(), (squares.size + 4) * UNIT * squares.mean(), BATCH)


@fact(_OURS("output_loss"), "tolerance", families=DIFFUSION, graphs=("objective",), ports=("epsilon_loss",))
def loss_is_that_of_the_output(files: Files) -> Finding:
    """loss = mean (F - target)^2 of the file's own output F: the velocity or the clean image, by what the card says."""
    inputs = _trained_on(files, "output loss")
    run = files.run("objective", inputs, inner=("output",))
    target, allowed = _target(files, inputs)
    apart = run["output"].astype(np.float64) - target
    rounding = (apart.size + 4) * UNIT * (apart**2).mean()
    return in_units(run["loss"], (apart**2).mean(), (2.0 * np.abs(apart) * allowed).mean() + rounding, BATCH)


def _target(files: Files, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What the network should give, and how far float32 may be from it."""
    schedule: Any = files.card.schedule
    abar = alpha_bars(files)[inputs["t"]].reshape(-1, 1, 1, 1)
    signal, noise = np.sqrt(abar), np.sqrt(1.0 - abar)
    target = TARGETS[schedule["network"]](inputs["x0"].astype(np.float64), inputs["eps"], abar)
    signal_error, noise_error = rate_errors(signal, noise)
    eps, x0 = np.abs(inputs["eps"]), np.abs(inputs["x0"])
    return target, (signal_error + 2.0 * UNIT * signal) * eps + (noise_error + 2.0 * UNIT * noise) * x0


@fact(
    _OURS("output_implies_the_noise"), "tolerance", families=DIFFUSION, graphs=("objective",), ports=("epsilon_loss",)
)
def output_implies_the_noise(files: Files) -> Finding:
    """eps_hat = sqrt(abar_t) v + sqrt(1 - abar_t) x_t of a velocity, or what is left of x_t without a clean image."""
    inputs = _trained_on(files, "implied noise")
    schedule: Any = files.card.schedule
    run = files.run("objective", inputs, inner=("x", "output", "eps_hat"))
    abar = alpha_bars(files)[inputs["t"]].reshape(-1, 1, 1, 1)
    x, output = run["x"].astype(np.float64), run["output"].astype(np.float64)
    expected = PREDICTIONS[schedule["network"]](x, output, abar)
    size = np.abs(x) + np.abs(output)
    # The file holds abar_t as float32: near 1 its rounding weighs much in sqrt(1 - abar_t).
    stored = np.abs(x) / (2.0 * np.sqrt(1.0 - abar))
    allowed = UNIT * (8.0 * size + stored if schedule["network"] == "v" else 8.0 * size / (1.0 - abar))
    return in_units(run["eps_hat"], expected, allowed, BATCH)


@fact(_OURS("objective_is_its_parts"), "tolerance", families=DIFFUSION, graphs=("objective", "noising", "denoise"))
def objective_is_made_of_noising_and_denoise(files: Files) -> Finding:
    """The noise's loss of the file as it runs is mse(denoise(noising(x0, t, eps), t), eps) of the other files."""
    inputs = _trained_on(files, "objective parts")
    eps_hat = denoised(files, noised(files, inputs["x0"], inputs["t"], inputs["eps"]), inputs["t"])
    apart = np.abs(eps_hat.astype(np.float64) - inputs["eps"])
    error, expected = network_error(eps_hat), (apart**2).mean()
    allowed = (2.0 * apart * error + error**2).mean() + (apart.size + 4) * UNIT * expected
    return in_units(files.run("objective", inputs)[_noise_loss(files)], expected, allowed, BATCH)


@fact(_OURS("denoise_takes_each_image_at_its_time"), "tolerance", families=DIFFUSION, graphs=("denoise",))
def denoise_takes_each_image_at_its_time(files: Files) -> Finding:
    """An image in a batch of several states is denoised as it is alone at its own."""
    inputs = files.inputs("denoise", BATCH, "denoise rows")
    x, t = inputs["x"], inputs["t"]
    alone = np.concatenate([denoised(files, x[i : i + 1], t[i]) for i in range(BATCH)])
    return in_units(denoised(files, x, t), alone, network_error(alone), BATCH, "in units of a network's error")


def _step(
    x: np.ndarray, eps_hat: np.ndarray, z: np.ndarray, abar_t: np.float32, abar_s: np.float32, eta: float
) -> tuple[np.ndarray, np.ndarray]:
    """The image form's step, and how far rounding and a network's error may take another's."""
    mean, sigma = image_ddim_law(x, eps_hat, abar_t, abar_s, np.float32(eta))
    signal, noise, error = np.sqrt(1.0 - abar_t), np.sqrt(1.0 - abar_s), network_error(eps_hat)
    # Four roundings of the unclipped clean image's terms; where it lies further outside, clipping removes its error.
    size = np.abs(x) + signal * np.abs(eps_hat)
    clean = image_x0(x, eps_hat, abar_t, postprocess=np.abs)
    blurred = (4.0 * UNIT * size + signal * error) / np.sqrt(abar_t)
    blurred = np.where(clean > 1.0 + blurred, 0.0, blurred)
    rounding = 4.0 * UNIT * (np.sqrt(abar_s) + noise * np.abs(eps_hat) + sigma * np.abs(z))
    return mean + sigma * z, np.sqrt(abar_s) * blurred + noise * error + rounding


def _stepped(files: Files, x: np.ndarray, t: int, s: int, eta: float, z: np.ndarray) -> tuple[np.ndarray, float]:
    """The step recomputed from `denoise`, and how far the file's is from it."""
    abars = alpha_bars(files).astype(np.float32)
    expected, allowed = _step(x, guided(files, x, t), z, abars[t], abars[s], eta)
    options = guidance(files, "step")
    errors = 2.0 * SCALE - 1.0 if options else 1.0  # of the two predictions, |w| + |1 - w| times as large
    return expected, in_units(stepped(files, x, t, s, eta, z, **options), expected, errors * allowed, len(x)).error


@fact(_OURS("step_is_the_image_form"), "tolerance", families=DIFFUSION, graphs=("step", "denoise"))
def step_is_the_image_form(files: Files) -> Finding:
    """x_s = sqrt(abar_s) clip(x_0) + sqrt(1 - abar_s - sigma^2) eps_hat + sigma z, at random t > s and eta 0 to 1.

    The clean image x_0 is clipped: the form of reference section 6.7, not that of section 6.3. With classes, eps_hat is
    that of the first, guided.
    """
    rng, last = random("image step"), len(alpha_bars(files)) - 1
    pairs = [(last, 0), (last, last - 1), (1, 0)]
    pairs += [tuple(sorted(rng.choice(last + 1, 2, replace=False), reverse=True)) for _ in range(5)]
    x, z = (2.0 * rng.standard_normal((2, 2, *image_shape(files)))).astype(np.float32)
    found = [_stepped(files, x, int(t), int(s), ETAS[i % 3], z)[1] for i, (t, s) in enumerate(pairs)]
    return worst(found, 1.0, len(found), "in units of the rounding bound")


@fact(_OURS("steps_of_a_run"), "tolerance", families=DIFFUSION, graphs=("step", "denoise"))
def steps_of_a_run(files: Files) -> Finding:
    """Along a run of trailing states, each step of the file from the recomputed state is the recomputed one."""
    rng, last = random("run of steps"), len(alpha_bars(files)) - 1
    x = rng.standard_normal((2, *image_shape(files))).astype(np.float32)
    found, steps = [], min(PATH, last)
    for j in range(steps):
        t, s = (trailing_state(k, steps, last) for k in (j, j + 1))
        x, error = _stepped(files, x, t, s, 0.5, rng.standard_normal(x.shape).astype(np.float32))
        found.append(error)
    return worst(found, 1.0, steps, "in units of the rounding bound, each step from the recomputed state")


@fact(_OURS("last_step_is_clean"), "exact", families=DIFFUSION, graphs=("step",))
def last_step_is_the_clipped_image(files: Files) -> Finding:
    """A step to state 0 ends in [-1, 1] and takes no noise, whatever eta is (error: numbers that do not)."""
    rng, last = random("last step"), len(alpha_bars(files)) - 1
    x, z = rng.standard_normal((2, 2, *image_shape(files))).astype(np.float32)
    wrong = 0
    for t in {1, last}:
        ends = [stepped(files, 3.0 * x, t, 0, eta, z) for eta in ETAS]
        wrong += sum(int((end != ends[0]).sum() + (~(np.abs(end) <= 1.0)).sum()) for end in ends)
    return Finding(float(wrong), 0.0, 6)


def _runs(files: Files) -> list[tuple[int, float, str]]:
    """Numbers of steps, eta and solvers to try; where the steps are written out, those alone."""
    schedule: Any = files.card.schedule
    if schedule["unrolled"]:
        return [(schedule["unrolled"], eta, schedule["solver"]) for eta in (0.0, 0.5)]
    most = schedule["states"]
    return [run for run in RUNS if run[0] <= most and (most <= MOST_STATES or not SOLVERS[run[2]].all_states)]


def _sampled(files: Files, noise: np.ndarray, steps: int, eta: float, solver: str) -> np.ndarray:
    """Pixels of the file for given noise of all draws, (1 + draws, N, C, H, W)."""
    ports = files.probe("sample_from_noise").graph.card.inputs
    free = {"steps": steps, "eta": np.float32(eta), "solver": list(SOLVERS).index(solver)}
    free |= {"noise": noise[0], "step_noise": noise[1:]}
    given = {port.name: np.asarray(free[port.name]) for port in ports if port.name in free}
    given |= guidance(files, "sample_from_noise")
    return files.run("sample_from_noise", given, inner=("pixels",))["pixels"]


def _denoisers(files: Files) -> Iterator[Denoiser]:
    """The file's denoiser, guided where it knows classes, and the same with its outputs moved as rounding might."""
    yield lambda x, t: guided(files, x, t, denoised)
    rng = random("jitter")

    def moved(files: Files, x: np.ndarray, t: int, **label: np.ndarray) -> np.ndarray:
        eps_hat = denoised(files, x, t, **label)
        size = np.float32(JITTER * np.abs(eps_hat).max())
        return eps_hat + size * rng.standard_normal(eps_hat.shape).astype(np.float32)

    yield lambda x, t: guided(files, x, t, moved)


@fact(_OURS("sampler_is_its_steps"), "tolerance", families=DIFFUSION, graphs=("sample_from_noise", "denoise"))
def sampler_is_its_steps(files: Files) -> Finding:
    """The sampler's pixels are those of its solvers over `denoise`, at its states, from the noise that it is given.

    With classes they are images of the first, guided.

    The bound is measured: four times what moving the network's outputs by 2^-24 of their largest does to the pixels of
    the same run, at worst and in root mean square.
    """
    abars, found = alpha_bars(files).astype(np.float32), []
    schedule: Any = files.card.schedule
    for steps, eta, solver in _runs(files):
        shape = (1 + steps, 2, *image_shape(files))
        noise = random(f"sampler {steps}").standard_normal(shape).astype(np.float32)
        how = solver, float(np.float32(eta)), schedule["spacing"]
        images, moved = (
            solve(denoise, noise[0], lambda j, z=noise: z[j], abars, steps, *how) for denoise in _denoisers(files)
        )
        apart = _sampled(files, noise, steps, eta, solver) - images
        found += [size(apart) / (4.0 * size(moved - images) + ROUNDINGS) for size in SIZES]
    return worst(found, 1.0, len(found), "in units of the bound")
