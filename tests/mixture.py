"""Data of a law whose best denoiser is a closed form and whose statistics are known: a mixture of normal laws."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Mixture:
    """Data of the law sum_k weights[k] N(means[k], covariances[k]), and the schedule that noises them.

    Attributes:
        weights: Of the K components, (K,), of sum 1.
        means: (K, D).
        covariances: (K, D, D).
        abars: alpha_bar of the states 0..T, (T + 1,).
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    abars: np.ndarray

    def law(self, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of x_t: the centers (K, D) and precisions (K, D, D) of the components, and ln of weight over volume, (K,)."""
        abar = self.abars[t]
        covariances = abar * self.covariances + (1.0 - abar) * np.eye(self.means.shape[1])
        levels = np.log(self.weights) - 0.5 * np.linalg.slogdet(covariances)[1]
        return np.sqrt(abar) * self.means, np.linalg.inv(covariances), levels

    def shares(self, x: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
        """The probability that x_t = x (N, D) is of a component, (K, N), and the components' pulls, (K, N, D).

        A pull is minus the gradient of the component's log density.
        """
        centers, precisions, levels = self.law(t)
        apart = x - centers[:, None]
        pulls = apart @ precisions
        logits = levels[:, None] - 0.5 * np.sum(apart * pulls, -1)
        odds = np.exp(logits - logits.max(0))
        return odds / odds.sum(0), pulls

    def denoise(self, x: np.ndarray, t: int) -> np.ndarray:
        """E[eps | x_t = x] = -sqrt(1 - alpha_bar_t) times the gradient of the log density of x_t; x is (N, D)."""
        shares, pulls = self.shares(x, t)
        return np.sqrt(1.0 - self.abars[t]) * np.sum(shares[..., None] * pulls, 0)

    def clean(self, x: np.ndarray, t: int) -> np.ndarray:
        """E[x_0 | x_t = x], (N, D)."""
        return (x - np.sqrt(1.0 - self.abars[t]) * self.denoise(x, t)) / np.sqrt(self.abars[t])

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Data of the law itself, (count, D)."""
        component = rng.choice(len(self.weights), count, p=self.weights)
        roots = np.linalg.cholesky(self.covariances)[component]
        return self.means[component] + np.einsum("nde,ne->nd", roots, rng.standard_normal((count, len(roots[0]))))

    def chances(self, samples: np.ndarray, left: float = 0.0) -> np.ndarray:
        """How probable statistics as far off as those of samples (N, D) are, (1 + 2 K,).

        The counts of the components, to which samples belong by their probability: Pearson's chi-square. For each
        component the mean (chi-square of D) and the covariance: its likelihood ratio (chi-square of D (D + 1) / 2,
        Wilks). The components must lie apart, so that a sample's is sure.

        Args:
            samples: To judge.
            left: The sampler's own error that is allowed for, which makes the laws noncentral: of a weight in shares
                of it, of a mean in standard deviations, of a variance in shares of it.
        """
        nearest = self.shares(samples, 0)[0].argmax(0)
        members = [samples[nearest == k] for k in range(len(self.weights))]
        counts, expected = np.array([len(m) for m in members]), len(samples) * self.weights
        far = [(np.sum((counts - expected) ** 2 / expected), len(counts) - 1, len(samples))]
        for member, mean, covariance in zip(members, self.means, self.covariances, strict=True):
            white = np.linalg.solve(np.linalg.cholesky(covariance), (member - mean).T)
            size, found = white.shape[0], np.cov(white)
            ratio = np.trace(found) - np.linalg.slogdet(found)[1] - size
            far.append((len(member) * np.sum(white.mean(1) ** 2), size, len(member)))
            far.append((len(member) * ratio, size * (size + 1) / 2, len(member)))
        return np.array([stats.ncx2.sf(statistic, freedom, count * left**2) for statistic, freedom, count in far])


def levels_even_in_log_snr(states: int, least: float, largest: float) -> np.ndarray:
    """alpha_bar of states whose ln(b / a) is in equal steps from `least` to `largest` ratios, and of a clean one."""
    ratio = np.exp(np.linspace(np.log(least), np.log(largest), states))
    return np.append(1.0, 1.0 / (1.0 + ratio**2))


def four_in_the_plane(abars: np.ndarray) -> Mixture:
    """Four components of different weights, shapes and directions, five deviations inside [-1, 1] and seven apart."""
    angles, roots = np.array([0.5, 0.0, 1.2, -0.4]), np.array([[0.12, 0.06], [0.08, 0.08], [0.1, 0.05], [0.06, 0.1]])
    turns = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]).transpose(2, 0, 1)
    return Mixture(
        weights=np.array([0.4, 0.3, 0.2, 0.1]),
        means=np.array([[-0.4, -0.4], [0.45, -0.3], [-0.3, 0.45], [0.4, 0.4]]),
        covariances=np.einsum("kij,kj,klj->kil", turns, roots**2, turns),
        abars=abars,
    )
