"""Other libraries' models as `bench/quality.py` trains them: their networks and losses, for so many CPU seconds.

pythae 0.1.2 (Chadebec et al. 2022, arXiv:2206.08309; Apache-2.0): its residual networks for MNIST, with the settings of
its own scripts for that set: 16 latent dimensions and the squared error of a unit Gaussian (VAE); 16 dimensions, 256
codes, commitment 0.25 (VQ-VAE); Adam at 1e-3, constant, batches of 100, no averaging of weights. The VAE's latents are
drawn from N(0, I), and from a mixture of ten Gaussians, which is fitted to those of the training images on top of the
budget. The codes' prior is its PixelCNN, 10 layers of 5x5, at the same rate (its default of 1e-4 is for 100 epochs). It
has the second half of the time, as ours has half of the steps, finds the codes of a batch as it comes to it, and draws
with the statistics that its batch normalisation learnt, where pythae takes those of the half-drawn batch.

denoising-diffusion-pytorch 2.3.4 (Wang; MIT): U-Net of width 32 at multiples 1, 2, 4 (the usual width of 64 has half as
many steps in the same time), everything else by default: velocities, sigmoid schedule, 1000 states. Adam at 1e-4 with
betas (0.9, 0.99), gradients clipped at 1, weights averaged by 0.995 every tenth step, which draw: as its Trainer does,
but for two batches of 32 a step, as many images as ours has, where that takes 16. Images are not mirrored, for clothes
are not. It draws by DDIM in as many steps as ours.

All find images in [0, 1] in the order that ours sees, and no evaluation or saving takes time from their training.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gen_export.data import batch_indices
from gen_export.data.image_set import ImageSet
from gen_export.errors import ConfigError, MissingToolError
from gen_runtime.inputs import Array

MNIST_SHAPE, PLANES = (28, 28, 1), (1, 28, 28)
LATENT, CODES, BATCH, LR = 16, 256, 100, 1e-3
WIDTH, DIFFUSION_BATCH, PARTS, DIFFUSION_LR = 32, 32, 2, 1e-4
DRAWN_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Entrant:
    """A trained model, its images, and what they cost.

    Attributes:
        name: Whose it is.
        parameters: Numbers that were trained.
        steps: Of the optimiser.
        seconds: CPU time of training.
        images: What it draws, uint8 (n, H, W, C).
        rebuild: Images uint8 (k, H, W, C) through its codes and back; None for a model without codes.
    """

    name: str
    parameters: int
    steps: int
    seconds: float
    images: Array
    rebuild: Callable[[Array], Array] | None


@dataclass(frozen=True, slots=True)
class Task:
    """What a peer is given.

    Attributes:
        train: The images to learn from.
        seconds: CPU time for it.
        count: Images to draw.
        steps: Of a sampler that has steps.
        lr: Learning rate; None for the peer's own.
        dtype: Of the networks' arithmetic in training.
    """

    train: ImageSet
    seconds: float
    count: int
    steps: int
    lr: float | None
    dtype: torch.dtype

    def arithmetic(self) -> torch.autocast:
        """A context in which networks compute so."""
        return torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32)


class Spent(NamedTuple):
    """What training took: steps of the optimiser, and CPU seconds."""

    steps: int
    seconds: float


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call, over all threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def pythae_vae(task: Task) -> Iterator[Entrant]:
    """The VAE of pythae, by its plain sampler and by its best."""
    models, nets, samplers = _pythae(task.train)
    config = models.VAEConfig(input_dim=PLANES, latent_dim=LATENT)
    model = models.VAE(config, nets.Encoder_ResNet_VAE_MNIST(config), nets.Decoder_ResNet_AE_MNIST(config))
    steps, seconds = _train(task, lambda x: model({"data": x}).loss, model, task.seconds)

    def rebuild(x: Tensor) -> Tensor:
        return model.decoder(model.encoder(x).embedding).reconstruction

    mixture = samplers.GaussianMixtureSampler(model)
    fit = cpu_seconds(lambda: mixture.fit(_unit(task.train.images(np.arange(len(task.train))))))
    plain = samplers.NormalSampler(model)
    for name, sampler, spent in (("normal", plain, seconds), ("mixture", mixture, seconds + fit)):
        # Shuffled, for the mixture draws one Gaussian after another, and a distance needs an order that says nothing.
        images = np.random.default_rng(0).permutation(_bytes(sampler.sample(task.count)))
        yield Entrant(f"pythae-{name}", _size(model), steps, spent, images, _on_bytes(rebuild))


def pythae_vqvae(task: Task) -> Iterator[Entrant]:
    """The VQ-VAE of pythae, half the time, and its PixelCNN over the codes, the other half."""
    models, nets, samplers = _pythae(task.train)
    config = models.VQVAEConfig(input_dim=PLANES, latent_dim=LATENT, num_embeddings=CODES)
    model = models.VQVAE(config, nets.Encoder_ResNet_VQVAE_MNIST(config), nets.Decoder_ResNet_VQVAE_MNIST(config))
    codec = _train(task, lambda x: model({"data": x}).loss, model, task.seconds / 2)
    sampler = samplers.PixelCNNSampler(model.eval())
    prior = sampler.pixelcnn_model

    def nats(x: Tensor) -> Tensor:
        with torch.no_grad():
            codes = model.quantizer(model.encoder(x).embedding.permute(0, 2, 3, 1)).quantized_indices
        return prior({"data": codes.float()}).loss

    rest = _train(task, nats, prior, task.seconds - codec.seconds)
    prior.eval()
    sampler.is_fitted = True
    images = _bytes(sampler.sample(task.count))
    rebuild = _on_bytes(lambda x: model({"data": x}).recon_x)
    steps, seconds = codec.steps + rest.steps, codec.seconds + rest.seconds
    yield Entrant("pythae-pixelcnn", _size(model) + _size(prior), steps, seconds, images, rebuild)


def lucidrains_diffusion(task: Task) -> Iterator[Entrant]:
    """The U-Net of denoising-diffusion-pytorch, by its averaged weights."""
    height, width, channels = task.train.image_shape
    package = _lucidrains()
    net = package.Unet(dim=WIDTH, dim_mults=(1, 2, 4), channels=channels)
    model = package.GaussianDiffusion(net, image_size=(height, width), sampling_timesteps=task.steps)
    averaged = _package("ema_pytorch").EMA(model, beta=0.995, update_every=10)
    optimizer = torch.optim.Adam(model.parameters(), lr=task.lr or DIFFUSION_LR, betas=(0.9, 0.99))

    def step(batches: Iterable[Tensor]) -> None:
        for x in batches:
            with task.arithmetic():
                loss = model(x)
            (loss / PARTS).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        averaged.update()

    batches = _batches(task.train, DIFFUSION_BATCH)
    steps, seconds = _until(task.seconds, lambda: step(next(batches) for _ in range(PARTS)))
    sizes = (min(DRAWN_AT_ONCE, task.count - at) for at in range(0, task.count, DRAWN_AT_ONCE))
    images = _bytes(torch.cat([averaged.ema_model.sample(batch_size=size) for size in sizes]))
    yield Entrant("denoising-diffusion-pytorch", _size(model), steps, seconds, images, None)


PEERS = {"vae": pythae_vae, "vqvae": pythae_vqvae, "diffusion": lucidrains_diffusion}


def require_peer(family: str, images: ImageSet) -> None:
    """Refuse, before anything is trained, what a peer cannot be trained with.

    Raises:
        ConfigError: The images have a shape that its networks do not take.
        MissingToolError: It is not installed.
    """
    if family == "diffusion":
        _lucidrains()
    else:
        _pythae(images)


def _train(task: Task, losses: Callable[[Tensor], Tensor], model: torch.nn.Module, seconds: float) -> Spent:
    """Adam as pythae's trainer runs it, until the time is spent."""
    optimizer, batches = torch.optim.Adam(model.parameters(), lr=task.lr or LR), _batches(task.train, BATCH)

    def step() -> None:
        optimizer.zero_grad()
        with task.arithmetic():
            loss = losses(next(batches))
        loss.backward()
        optimizer.step()

    model.train()
    return _until(seconds, step)


def _until(seconds: float, step: Callable[[], None]) -> Spent:
    """Steps until so much CPU time is spent."""
    steps, spent = 0, 0.0
    while spent < seconds:
        spent += cpu_seconds(step)
        steps += 1
    return Spent(steps, spent)


def _batches(images: ImageSet, size: int) -> Iterator[Tensor]:
    """Batches of training images without end, (size, C, H, W) in [0, 1]."""
    step = 0
    while True:
        yield _unit(images.images(batch_indices(len(images), size, 0, step)))
        step += 1


def _pythae(images: ImageSet) -> Sequence[ModuleType]:
    """The models of pythae, its networks for MNIST and its samplers.

    Raises:
        ConfigError: The images have another shape than MNIST's.
        MissingToolError: It is not installed.
    """
    if images.image_shape != MNIST_SHAPE:
        expected, found = list(MNIST_SHAPE), list(images.image_shape)
        raise ConfigError(f"--data: expected images of {expected}, as pythae's networks take, found {found}")
    return [_package(f"pythae.{name}") for name in ("models", "models.nn.benchmarks.mnist", "samplers")]


def _lucidrains() -> ModuleType:
    """The package denoising_diffusion_pytorch.

    Raises:
        MissingToolError: It is not installed.
    """
    # It reads folders of images with torchvision, which nothing here does and which fits few builds of torch.
    stand_in = ModuleType("torchvision")
    stand_in.__dict__.update(transforms=None, utils=None)
    sys.modules.setdefault("torchvision", stand_in)
    return _package("denoising_diffusion_pytorch")


def _package(name: str) -> ModuleType:
    """The package.

    Raises:
        MissingToolError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingToolError(f"{name}: expected an installed package: pip install 'gen-export[peers]'") from error


def _size(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _unit(images: Array) -> Tensor:
    """Bytes (n, H, W, C) as floats (n, C, H, W) in [0, 1]."""
    return torch.from_numpy(images.transpose(0, 3, 1, 2)).float() / 255


def _bytes(x: Tensor) -> Array:
    """The inverse: the nearest bytes, uint8 (n, H, W, C)."""
    return (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def _on_bytes(rebuild: Callable[[Tensor], Tensor]) -> Callable[[Array], Array]:
    """The same from bytes to bytes, without gradients."""

    def on_bytes(images: Any) -> Array:
        with torch.no_grad():
            return _bytes(rebuild(_unit(images)))

    return on_bytes
