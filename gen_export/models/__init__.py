"""The model families: one file each, and this register of where they are. Importing it imports no torch."""

from importlib import import_module
from typing import TYPE_CHECKING

from gen_export.errors import ConfigError

if TYPE_CHECKING:
    from gen_export.models.family import Family

FAMILIES = {
    "autoencoder": (
        "gen_export.models.autoencoder",
        "Autoencoder",
        "convolutional autoencoder: images to codes and back",
    ),
    "mae": (
        "gen_export.models.mae",
        "MaskedAutoencoder",
        "masked autoencoder: fills in the hidden patches of an image",
    ),
    "vae": ("gen_export.models.vae", "VAE", "(beta-)variational autoencoder: one decoder call an image"),
    "vqvae": ("gen_export.models.vqvae", "VQVAE", "vector-quantised autoencoder with a learned prior over its codes"),
    "gan": (
        "gen_export.models.gan",
        "GAN",
        "least-squares generative adversarial network: one generator call an image",
    ),
    "diffusion": ("gen_export.models.diffusion", "Diffusion", "denoising diffusion: the whole loop in one file"),
    "classifier": (
        "gen_export.models.classifier",
        "Classifier",
        "classifier: the class of an image, and features to compare sets of images by",
    ),
}


def family_class(name: str) -> type["Family"]:
    """The class of a family.

    Raises:
        ConfigError: No family has this name.
    """
    if name not in FAMILIES:
        raise ConfigError(f"family: expected one of {', '.join(FAMILIES)}, found {name!r}")
    module, class_name, _ = FAMILIES[name]
    return getattr(import_module(module), class_name)
