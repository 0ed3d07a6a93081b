"""Sets of encoded images, streamed: an image is decoded when it is asked for, by a few threads.

One that turns out broken is reported, and the next good image of its class stands in for it, so that the set keeps its
length.
"""

import os
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from gen_export.data.decode import BadImageError
from gen_export.data.image_set import ImageSet
from gen_export.errors import DataError

WORKERS = min(8, os.cpu_count() or 1)
Report = Callable[[str], None]


def refuse(line: str) -> None:
    """A report that ends it all.

    Raises:
        DataError: Always.
    """
    raise DataError(line)


@dataclass(eq=False, kw_only=True)
class DecodedSet(ImageSet):
    """Images that are decoded on demand.

    Attributes:
        report: Told one line of each broken image, once.
    """

    report: Report
    _broken: set[int] = field(default_factory=set, init=False)

    @abstractmethod
    def _decode(self, index: int) -> np.ndarray:
        """One image, uint8 [H, W, C]; called by several threads.

        Raises:
            BadImageError: It cannot be decoded.
        """

    @abstractmethod
    def _where(self, index: int) -> str:
        """What reports call an image."""

    def readable(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images at `indices` that can be decoded, uint8 [m, H, W, C], and which they are, bool [k]."""
        decoded = self._decode_all(self._checked(indices))
        return self._stack([x for x in decoded if x is not None]), np.array([x is not None for x in decoded], bool)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        decoded = zip(indices, self._decode_all(indices), strict=True)
        return self._stack([self._stand_in(int(i)) if x is None else x for i, x in decoded])

    def _stack(self, images: list[np.ndarray]) -> np.ndarray:
        return np.array(images, np.uint8).reshape(-1, *self.image_shape)

    def _decode_all(self, indices: np.ndarray) -> list[np.ndarray | None]:
        """Each image, or None where it is broken; reported here, in order and by the calling thread."""
        with ThreadPoolExecutor(WORKERS) as pool:
            decoded = zip(indices, pool.map(self._attempt, indices), strict=True)
            return [self._good(int(i), x) for i, x in decoded]

    def _attempt(self, index: int) -> np.ndarray | BadImageError | None:
        if index in self._broken:
            return None
        try:
            return self._decode(index)
        except BadImageError as error:
            return error

    def _good(self, index: int, decoded: np.ndarray | BadImageError | None) -> np.ndarray | None:
        """The image itself; None for a broken one, reported when it is met first."""
        if not isinstance(decoded, BadImageError):
            return decoded
        if index not in self._broken:
            self._broken.add(index)
            self.report(f"{self._where(index)}: {decoded}")
        return None

    def _stand_in(self, index: int) -> np.ndarray:
        """The next good image after a broken one: of its class if there is one, else of any."""
        following = (index + np.arange(1, len(self))) % len(self)
        if self.labels is not None:
            other_class = self.labels[following] != self.labels[index]
            following = following[np.argsort(other_class, kind="stable")]
        for candidate in following:
            image = self._good(int(candidate), self._attempt(int(candidate)))
            if image is not None:
                return image
        raise DataError(f"{self.name}: expected an image that can be decoded, found none in {len(self)} files")
