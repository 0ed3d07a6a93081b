"""The tiny denoisers' files: one that has a certificate, and one that has none."""

import pytest

from gen_export.verify.onnx_file import OnnxFile
from tests import tiny


@pytest.fixture(scope="session")
def residual(tmp_path_factory):
    """The tiny residual denoiser's file."""
    from gen_export.export.writer import export_family

    folder = tmp_path_factory.mktemp("residual")
    export_family(tiny.build_family("diffusion", net="residual"), folder, "diffusion", tiny.about_dots())
    return OnnxFile.read(folder / "diffusion.denoise.onnx")


@pytest.fixture(scope="session")
def unet(exported):
    """The tiny U-Net's file."""
    return OnnxFile.read(exported("diffusion").with_name("diffusion.denoise.onnx"))
