"""The tiny denoisers' files: one that has a certificate, and one that has none."""

import pytest

from gen_export.verify.onnx_file import OnnxFile


@pytest.fixture(scope="session")
def residual(exported):
    """The tiny residual denoiser's file."""
    return OnnxFile.read(exported("diffusion", net="residual").with_name("diffusion.denoise.onnx"))


@pytest.fixture(scope="session")
def unet(exported):
    """The tiny U-Net's file."""
    return OnnxFile.read(exported("diffusion").with_name("diffusion.denoise.onnx"))
