"""Facts of ours about the learned prior of an exported VAE: both of its directions, and the density, are one law."""

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.vae import gaussian_log_density
from gen_export.verify.fact import Finding, fact, worst, worst_of
from gen_export.verify.facts.agreement import close
from gen_export.verify.files import Files
from gen_export.verify.labels import told
from gen_export.verify.rounding import UNIT
from gen_runtime.inputs import Array

BATCH = 16
MOST_LATENTS = 256
"""Beyond these a Jacobian would take too many calls."""
STEP = 2.0**-5
ROUNDINGS = 64
"""How many units in the last place a number carried through the couplings is taken to be wrong by: a margin."""

_VAE = ("vae",)
_PARTS = ("latent", "normalize")
_OURS = "gen_export.vae.{}".format


@fact(_OURS("normalize_inverts_latent"), "tolerance", families=_VAE, graphs=_PARTS, ports=("log_density",))
def latents_come_back_as_their_numbers(files: Files) -> Finding:
    """normalize(latent(u)) = u and latent(normalize(z)) = z, for any class and for the first."""
    u, z = files.inputs("latent", BATCH, "vae there")["u"], files.inputs("normalize", BATCH, "vae back")["z"]
    findings = []
    for label in (None, 0):
        known = told(files, "latent", label)
        there = files.run("normalize", {**files.run("latent", {"u": u, **known}), **known})["u"]
        normal = files.run("normalize", {"z": z, **known})["u"]
        back = files.run("latent", {"u": normal, **known})["z"]
        findings += [close(there, u, BATCH), close(back, z, BATCH)]
    return worst_of(findings)


@fact(
    _OURS("prior_density_is_the_change_of_variables"),
    "tolerance",
    hypotheses="at most 256 latents",
    families=_VAE,
    graphs=_PARTS,
    ports=("log_density",),
)
def density_is_that_of_the_change_of_variables(files: Files) -> Finding:
    """log p(z) = log N(u; 0, I) + log |det du / dz|, with the Jacobian of differences of the file's own u.

    The bound is how much the determinant changes as the differences are halved, beside what rounding does to them.
    """
    z = files.inputs("normalize", 1, "vae density")["z"]
    if z.shape[1] > MOST_LATENTS:
        raise NothingToCheckError(f"{z.shape[1]} latents, above {MOST_LATENTS}")
    run = files.run("normalize", {"z": z})
    u = run["u"].astype(np.float64)
    found = float(run["log_density"][0] - gaussian_log_density(u, 0.0, 1.0)[0])
    coarse, fine = jacobian(files, z, STEP), jacobian(files, z, STEP / 2)
    determinants = [np.linalg.slogdet(matrix)[1] for matrix in (coarse, fine, (4 * fine - coarse) / 3)]
    rounding = ROUNDINGS * UNIT * max(1.0, np.abs(u).max()) / STEP * np.abs(np.linalg.inv(fine)).sum()
    allowed = abs(determinants[1] - determinants[0]) + rounding
    return worst([abs(found - determinants[2]) / allowed], 1.0, 1, "in units of what differences explain")


def jacobian(files: Files, z: Array, step: float) -> Array:
    """The derivative du / dz (n, n) at latents z (1, n) by central differences."""
    moves = np.float32(step) * np.eye(z.shape[1], dtype=np.float32)
    ahead, behind = (files.run("normalize", {"z": z + sign * moves})["u"].astype(np.float64) for sign in (1, -1))
    return (ahead - behind).T / (2 * step)
