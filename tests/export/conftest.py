"""What the tests of export share."""

import numpy as np
import pytest

from gen_export.spec.schedules import alpha_bars, cosine_betas
from tests.export.analytic import GaussianData


@pytest.fixture(scope="session")
def gaussian() -> GaussianData:
    """RGB images of 4 x 5 pixels whose means cross the whole range, so that clipping acts, with 40 noise levels."""
    mean = np.linspace(-0.95, 0.95, 3 * 4 * 5).reshape(3, 4, 5)
    return GaussianData(mean, 0.09, alpha_bars(cosine_betas(40)).astype(np.float32))
