"""The calls of the suite, and what must be refused. What they give is computed when the suite is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gen_export.spec.solvers import SOLVERS
from tests.golden.suite import Value, array, choice, drawn, real, whole

ROUNDING = 5e-6
"""Of one call of a float32 network: ten times what ONNX Runtime's optimisations change, 4.8e-7."""
TRAJECTORY = 2e-5
"""Of tens of calls on one another's results: twelve times what they change, 1.7e-6."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call of one file.

    Attributes:
        name: What it shows, a sentence.
        file: The main file, without `.onnx`.
        graph: The graph; None where the file itself is refused.
        inputs: By name, as golden.json writes them.
        batch: Call the host's `sample` with this many images a run of the graph, and not the graph itself.
        tolerance: Of the float outputs, relative to max(1, |expected|).
        error: The kind of refusal: file, graph or port.
        says: What the refusal's message holds, the same words in every host.
    """

    name: str
    file: str
    graph: str | None = None
    inputs: Mapping[str, Value] = field(default_factory=dict)
    batch: int | None = None
    tolerance: float | None = None
    error: str | None = None
    says: str | None = None


def samples() -> Iterator[Case]:
    """Images from seeds."""
    seeds = {"gaussian": (0, 7, -1, 2**62, -(2**63), 2**63 - 1), "vae": (7, -3), "gan": (7,), "vqvae": (7, 2**62)}
    for file, values in (seeds | {"diffusion": (7,), "mixture": (7,)}).items():
        for seed in values:
            inputs = {"seed": whole(seed), "count": whole(3)}
            yield Case(f"{file} draws from a seed near {seed}", file, "sample", inputs)
    for solver in SOLVERS:
        inputs = {"seed": whole(11), "count": whole(2), "solver": choice(solver)}
        inputs |= {} if SOLVERS[solver].all_states else {"steps": whole(6)}
        yield Case(f"the solver {solver} by name", "gaussian", "sample", inputs)
    for file in ("mixture", "diffusion"):
        inputs = {"seed": whole(5), "count": whole(2), "solver": choice("heun"), "steps": whole(10)}
        yield Case(f"{file} in 10 steps of heun", file, "sample", inputs)
    few = {"seed": whole(3), "count": whole(1)}
    yield Case("the solver by number", "gaussian", "sample", few | {"solver": whole(4), "steps": whole(5)})
    yield Case("fresh noise in each step", "gaussian", "sample", few | {"eta": real(1.0), "steps": whole(12)})
    yield Case("a whole number for a float input", "gaussian", "sample", few | {"eta": whole(1), "steps": whole(12)})
    yield Case("all states, one by one", "gaussian", "sample", few | {"steps": whole(40)})
    yield Case("colder, among fewer codes", "vqvae", "sample", few | {"temperature": real(0.5), "top_k": whole(4)})
    yield Case("the likeliest codes", "vqvae", "sample", few | {"temperature": real(0.0)})
    yield Case(
        "images 2 and 3 of a seed", "gaussian", "sample", {"seed": whole(7), "count": whole(2), "first": whole(2)}
    )
    far = {"seed": whole(7), "count": whole(2), "first": whole(2**53 + 1)}
    yield Case("images far down the row", "gaussian", "sample", far)
    yield Case("nine images, four a run", "gaussian", "sample", {"seed": whole(7), "count": whole(9)}, batch=4)
    window = {"seed": whole(7), "count": whole(5), "first": whole(4), "steps": whole(3), "solver": choice("euler")}
    yield Case("a window in runs of two, with options", "gaussian", "sample", window, batch=2)
    yield from classes()
    noise = {"noise": drawn("float32", (2, 3, 4, 5), 1, -2, 2)}
    yield Case("images from given noise", "gaussian", "sample_from_noise", noise)
    vae = {"noise": drawn("float32", (2, 6), 2, -2, 2)}
    yield Case("images from given latents", "vae", "sample_from_noise", vae)
    uniform = {"noise": drawn("float64", (2, 16), 3, 0, 1)}
    yield Case("images from given uniform numbers", "vqvae", "sample_from_noise", uniform)
    yield Case("images from a generator's noise", "gan", "sample_from_noise", vae)
    for file, shape in {"mixture": (2, 1, 1, 2), "diffusion": (2, 1, 8, 8)}.items():
        given = {"noise": drawn("float32", shape, 4, -2, 2), "steps": whole(5)}
        yield Case(f"images of {file} from given noise", file, "sample_from_noise", given)
    fresh = {"step_noise": drawn("float32", (4, 2, 3, 4, 5), 2, -2, 2), "eta": real(0.5), "steps": whole(4)}
    yield Case("images from given noise, fresh in each step", "gaussian", "sample_from_noise", noise | fresh)


def classes() -> Iterator[Case]:
    """Images of classes."""
    five = {"seed": whole(7), "count": whole(5)}
    yield Case("each class in turn", "classed", "sample", five)
    yield Case("each class in turn, from the fifth on", "classed", "sample", five | {"first": whole(4)}, batch=2)
    yield Case("one class by name", "classed", "sample", five | {"label": choice("bright")})
    yield Case("any class by number", "classed", "sample", five | {"label": whole(3)})
    guided = {"seed": whole(5), "count": whole(3), "label": choice("dark"), "guidance": real(1.5)}
    yield Case("more of a class", "classed", "sample", guided)
    yield Case("none of a class", "classed", "sample", guided | {"guidance": whole(0)})
    noise = {"noise": drawn("float32", (2, 3, 4, 5), 1, -2, 2), "guidance": real(0.5), "first": whole(2)}
    yield Case("classes of given noise", "classed", "sample_from_noise", noise)
    names = "dark, bright, steep, any, each"
    unknown = five | {"label": choice("red")}
    yield Case("a class that is none", "classed", "sample", unknown, error="port", says=names)


def networks() -> Iterator[Case]:
    """Encoders, decoders, objectives and what else is one call of a network."""
    small, large = (drawn("float32", (2, 1, side, side), side, -1, 1) for side in (8, 16))
    mask = array("bool", (2, 2, 2), True, False, True, True, False, True, False, False)
    codes = drawn("int64", (2, 4, 4), 3, 0, 15)
    latent, direction = drawn("float32", (2, 6), 4, -2, 2), drawn("float32", (2, 1, 8, 8), 5, -1, 1)
    levels = array("int64", (2,), 3, 60)
    colour = drawn("float32", (2, 3, 4, 5), 6, -1, 1)
    cache = drawn("float32", (2, 1, 2, 2, 16, 16), 9, -1, 1)
    calls: list[tuple[str, str, dict[str, Value]]] = [
        ("autoencoder", "encode", {"image": small}),
        ("autoencoder", "decode", {"code": latent}),
        ("autoencoder", "reconstruct", {"image": small}),
        ("autoencoder", "objective", {"image": small}),
        ("mae", "reconstruct", {"image": small, "mask": mask}),
        ("mae", "encode", {"image": small, "mask": mask}),
        ("mae", "objective", {"image": small, "mask": mask}),
        ("vae", "encode", {"image": small}),
        ("vae", "decode", {"z": latent}),
        ("vae", "reconstruct", {"image": small}),
        ("vae", "objective", {"image": small, "eps": latent}),
        ("vae", "objective", {"image": small, "eps": latent, "beta": real(2.0)}),
        ("vae", "bound", {"image": small, "eps": drawn("float32", (3, 2, 6), 7, -2, 2), "variance": real(0.25)}),
        ("vae", "latent", {"u": latent}),
        ("vae", "normalize", {"z": latent}),
        ("vqvae", "encode", {"image": large}),
        ("vqvae", "decode", {"indices": codes}),
        ("vqvae", "reconstruct", {"image": large}),
        ("vqvae", "lookup", {"indices": codes}),
        ("vqvae", "quantize", {"encoded": drawn("float32", (2, 4, 4, 4), 8, -1, 1)}),
        ("vqvae", "objective", {"image": large, "beta": real(1.0)}),
        ("vqvae", "nll", {"indices": codes}),
        ("gan", "generate", {"z": latent}),
        ("gan", "discriminate", {"image": small}),
        ("gan", "objective", {"image": small, "z": latent}),
        ("diffusion", "denoise", {"x": small, "t": levels}),
        ("diffusion", "noising", {"x0": small, "t": levels, "eps": direction}),
        ("diffusion", "objective", {"x0": small, "t": levels, "eps": direction}),
        ("diffusion", "slope", {"x": small, "t": levels, "direction": direction}),
        ("diffusion", "step", {"x": small, "t": whole(30), "s": whole(20)}),
        ("diffusion", "step", {"x": small, "t": whole(30), "s": whole(20), "eta": real(1.0), "z": direction}),
        ("gaussian", "step", {"x": colour, "t": whole(20), "s": whole(0)}),
        ("classed", "step", {"x": colour, "t": whole(20), "s": whole(9), "label": whole(2), "guidance": real(2.5)}),
        ("mixture", "step", {"x": drawn("float32", (2, 1, 1, 2), 7, -1, 1), "t": whole(50), "s": whole(40)}),
        (
            "vqvae",
            "predict",
            {"code": array("int64", (2,), 3, 15), "position": array("int64", (1,), 1), "cache": cache},
        ),
    ]
    for number, (file, graph, inputs) in enumerate(calls):
        again = " with other options" if (file, graph) in [call[:2] for call in calls[:number]] else ""
        yield Case(f"{graph} of {file}{again}", file, graph, inputs, tolerance=ROUNDING)
    plane = drawn("float32", (2, 1, 1, 2), 7, -1, 1)
    flow = {"gaussian": colour, "classed": colour, "diffusion": small, "mixture": plane}
    for file, x in flow.items():
        steps = {"x": x, "steps": whole(10)}
        yield Case(f"invert of {file}", file, "invert", steps, tolerance=TRAJECTORY)
        yield Case(f"invert of {file}, clipped", file, "invert", steps | {"clip": whole(1)}, tolerance=TRAJECTORY)
        probing = steps | {"probes": whole(2), "seed": whole(9)}
        yield Case(f"log_likelihood of {file}", file, "log_likelihood", probing, tolerance=TRAJECTORY)
        exact = steps | {"probes": whole(0)}
        yield Case(f"log_likelihood of {file}, exactly", file, "log_likelihood", exact, tolerance=TRAJECTORY)
    bright = {"x": colour, "steps": whole(10), "label": choice("bright")}
    yield Case("invert to the noise of one class", "classed", "invert", bright, tolerance=TRAJECTORY)


def echoes() -> Iterator[Case]:
    """Values of every dtype there and back: bit for bit, so without a tolerance."""
    yield Case("every dtype keeps its values", "echo", "echo", _echo())
    yield Case("defaults may be overridden", "echo", "echo", _echo(scale=real(2.5), mode=choice("high")))
    yield Case("a choice may be a number", "echo", "echo", _echo(mode=whole(0)))
    wider = {"small": array("int64", (2,), -1000, 1000), "single": array("float64", (2,), 0.1, -1e-40)}
    yield Case("values of a wider dtype that fit", "echo", "echo", _echo(**wider))


def _echo(**changes: Value) -> dict[str, Value]:
    inputs = {
        "flags": array("bool", (2,), True, False),
        "bytes": array("uint8", (2,), 0, 255),
        "small": array("int32", (2,), -1000, 7),
        "big": array("int64", (2,), -(2**63), 2**62 + 1),
        "single": array("float32", (2,), 0.1, -3.4028235e38),
        "wide": array("float64", (2,), 0.1, 1.7976931348623157e308),
    }
    return inputs | changes


def refused_values() -> Iterator[Case]:
    """Inputs that are not what their port says."""
    ask = {"seed": whole(7), "count": whole(1)}

    def port(name: str, says: str, file: str, graph: str, **inputs: Value) -> Case:
        return Case(name, file, graph, inputs, error="port", says=says)

    def sample(name: str, says: str, **inputs: Value) -> Case:
        return port(name, says, "gaussian", "sample", **{**ask, **inputs})

    def encode(name: str, says: str, image: Value) -> Case:
        return port(name, f"encode: image: expected {says}", "vae", "encode", image=image)

    def echo(name: str, says: str, **inputs: Value) -> Case:
        return port(name, says, "echo", "echo", **_echo(**inputs))

    yield port("a missing input", "sample needs count", "gaussian", "sample", seed=whole(7))
    takes = "it takes seed, count, first, steps, eta, solver"
    yield sample("an unknown input", f"sample has no input 'sed': {takes}", sed=whole(1))
    yield sample("too few steps", "sample: steps: expected at least 1, found 0", steps=whole(0))
    yield sample("too many steps", "sample: steps: expected at most 40, found 41", steps=whole(41))
    yield sample("no images", "sample: count: expected at least 1, found 0", count=whole(0))
    yield sample("a first image before the first", "sample: first: expected at least 0, found -1", first=whole(-1))
    yield sample("a fraction where a whole number goes", "sample: steps: expected int64, found 1.5", steps=real(1.5))
    known = ", ".join(SOLVERS)
    yield sample("an unknown choice", f"sample: solver: expected one of {known}, found 'nope'", solver=choice("nope"))
    yield sample("a name where there is no choice", "sample: steps: expected int64", steps=choice("ddim"))
    yield sample("a number beyond the choices", "sample: solver: expected at most 6, found 7", solver=whole(7))
    yield sample("too large a float", "sample: eta: expected at most 1, found 1.5", eta=real(1.5))
    two = array("int64", (2,), 7, 8)
    yield sample("a list for a single number", "sample: seed: expected shape [], found [2]", seed=two)
    narrow = drawn("float32", (2, 1, 8, 7), 1, -1, 1)
    yield encode("another image size", "shape [batch=2, 1, 8, 8], found [2, 1, 8, 7]", narrow)
    flat = drawn("float32", (64,), 1, -1, 1)
    yield encode("another rank", "shape [batch, 1, 8, 8], found [64]", flat)
    empty = array("float32", (0, 1, 8, 8))
    yield encode("an empty batch", "shape [batch, 1, 8, 8], found [0, 1, 8, 8]", empty)
    whole_image = drawn("int64", (2, 1, 8, 8), 1, -1, 1)
    yield encode("whole numbers for floats", "float32, found an array of int64", whole_image)
    bright = drawn("float32", (2, 1, 8, 8), 1, 2, 3)
    yield encode("pixels out of range", "at most 1, found ", bright)
    indices = drawn("float32", (2, 4, 4), 1, 0, 1)
    yield port(
        "floats for whole numbers",
        "decode: indices: expected int64, found an array of float32",
        "vqvae",
        "decode",
        indices=indices,
    )
    high = drawn("int64", (2, 4, 4), 1, 16, 17)
    yield port("codes out of range", "decode: indices: expected at most 15, found 17", "vqvae", "decode", indices=high)
    x, t = drawn("float32", (2, 1, 8, 8), 1, -1, 1), array("int64", (3,), 1, 2, 3)
    yield port(
        "batches that disagree", "denoise: t: expected shape [batch=2], found [3]", "diffusion", "denoise", x=x, t=t
    )
    mask = drawn("uint8", (2, 2, 2), 1, 0, 1)
    yield port(
        "bytes for a mask",
        "encode: mask: expected bool, found an array of uint8",
        "mae",
        "encode",
        image=drawn("float32", (2, 1, 8, 8), 1, -1, 1),
        mask=mask,
    )
    yield echo("a value beyond int32", "echo: small: expected int32", small=array("int64", (2,), 0, 2**31))
    yield echo("a negative byte", "echo: bytes: expected uint8", bytes=array("int64", (2,), 0, -1))
    single = array("float64", (2,), 0.0, 1e39)
    yield echo("a float64 beyond float32", "echo: single: expected finite float32 values", single=single)
    yield echo("too small a number", "echo: scale: expected at least 0.5, found 0.25", scale=real(0.25))
    yield echo("bools for numbers", "echo: small: expected int32", small=array("bool", (2,), True, False))
    far = {"seed": whole(7), "count": whole(2), "first": whole(2**63 - 2)}
    says = "sample: first + count: expected at most 2^63 - 1"
    yield Case("images beyond the last", "gaussian", "sample", far, batch=1, error="port", says=says)
    none = {"seed": whole(7), "count": whole(0)}
    yield Case(
        "no images in runs",
        "gaussian",
        "sample",
        none,
        batch=4,
        error="port",
        says="sample: count: expected at least 1, found 0",
    )


def refused_files() -> Iterator[Case]:
    """Files that are not there, not whole, not ours or not as their card says; graphs that a file has not."""
    has = "its graph has {'x': 'tensor(float)'}"
    says = {
        "missing": "no such file",
        "folder": "expected an .onnx file, found a folder",
        "truncated": "ONNX Runtime cannot load it",
        "empty": "ONNX Runtime cannot load it",
        "text": "ONNX Runtime cannot load it",
        "foreign": "an ONNX file without the metadata key 'gen_export': gen-export did not write it",
        "newer": "its card has version 2, this package reads up to 1: upgrade it",
        "no_version": "its card has no version, expected 1",
        "no_outputs": "its card lacks the field 'outputs'",
        "no_json": "its card is not JSON: ",
        "not_a_number": "its card is not JSON: NaN is no JSON number",
        "infinite": "its card is not JSON: 1e999 is too large a number",
        "deep": "expected a card at most 32 levels deep, found a deeper one",
        "path_as_part": "its card has a malformed field: expected a name of a-z, 0-9 and _, found '../whole'",
        "other_dtype": f"its card declares the required inputs {{'x': 'tensor(double)'}}, {has}",
        "other_input": f"its card declares the required inputs {{'z': 'tensor(float)'}}, {has}",
        "other_shape": "its card declares x with the shape [batch, 3], its graph [batch, 2]",
        "unknown_field": "its card has a malformed field: ",
    }
    for file, words in says.items():
        yield Case(f"a file that is {file.replace('_', ' ')}", f"broken/{file}", error="file", says=words)
    missing = Case(
        "a part that is not there", "broken/missing_part", "encode", error="file", says="needs its part encode"
    )
    yield missing
    swapped = "expected double encode, found double double"
    yield Case("a part that is another graph", "broken/swapped_part", "encode", error="file", says=swapped)
    floats = "expected images, uint8 [count, 1, 2, 1], found float32 [count, 1, 2, 1]"
    draw = {"seed": whole(1), "count": whole(1)}
    yield Case("images of floats", "broken/float_images", "sample", draw, batch=1, error="file", says=floats)
    graphs = "has no graph 'encod': it has sample, "
    yield Case("a graph that is not declared", "vae", "encod", error="graph", says=graphs)
    no = "has no graph 'sample': it has reconstruct, "
    yield Case("no sampler", "autoencoder", "sample", draw, batch=4, error="graph", says=no)


def all_cases() -> list[Case]:
    """Every case, each by a name of its own."""
    groups: list[Any] = [samples(), networks(), echoes(), refused_values(), refused_files()]
    return [case for group in groups for case in group]
