"""Tiny families and what their files say of data and training: made without a fixture, so that tools use them too."""

from pathlib import Path
from typing import Any

OPTIONS = {
    "autoencoder": {"size": "tiny", "latent": 6},
    "mae": {"size": "tiny"},
    "vae": {"size": "tiny", "latent": 6},
    "vqvae": {"size": "tiny", "codes": 8, "code_dim": 4},
    "gan": {"size": "tiny", "latent": 6},
    "diffusion": {"size": "tiny", "states": 60},
    "classifier": {"size": "tiny", "classes": ("red", "green", "blue", "grey"), "features": 6},
}
CLASSES = ("red", "green", "blue", "grey")
LABELLED = {f"labelled_{name}": (name, {"classes": CLASSES}) for name in ("vae", "vqvae", "diffusion")}
"""Families that learn classes too, by a name of their own."""
FINGERPRINT = "0" * 64


def build_family(name: str, image: tuple[int, int, int] = (1, 8, 8), seed: int = 0, **options: Any) -> Any:
    """A tiny family by name, or by one of `LABELLED`; zero-initialised layers get small weights, so all parts act."""
    import torch

    from gen_export.models import family_class
    from gen_export.models.family import ImageShape, config_from

    name, more = LABELLED.get(name, (name, {}))
    cls = family_class(name)
    torch.manual_seed(seed)
    family = cls(config_from(cls.Config, {**OPTIONS[name], **more, **options}), ImageShape(*image))
    with torch.no_grad():
        for parameter in family.parameters():
            if not parameter.any():
                parameter.normal_(0.0, 0.05)
    return family.eval()


def about_dots() -> dict[str, Any]:
    """The sections `data` and `training` of a file's metadata."""
    from gen_export.models.family import ImageShape
    from gen_export.training.checkpoint import Record
    from gen_export.training.run import about
    from gen_export.training.settings import TrainSettings

    data = {
        "source": "/somewhere/private",
        "image_size": None,
        "strict": False,
        "name": "dots",
        "images": 64,
        "image_shape": [8, 8, 1],
        "label_names": [],
        "fingerprint": FINGERPRINT,
    }
    return about(Record("vae", {}, ImageShape(1, 8, 8), TrainSettings(), data, 10, 1.25, {"loss": 0.5}))


def export_tiny(name: str, folder: Path) -> Path:
    """The main file of a tiny family's export."""
    from gen_export.export.writer import export_family

    return export_family(build_family(name), folder, name, about_dots())[0]
