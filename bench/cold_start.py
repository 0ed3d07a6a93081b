"""Wall-clock seconds of `gen-export sample` from nothing to a picture, beside `import onnxruntime` alone.

    python bench/cold_start.py runs/demo/diffusion.onnx

The two are run in turns in fresh processes; the figures are medians, and the difference is what we add.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def wall_seconds(command: list[str]) -> float:
    """Seconds until the command has ended; a failure is an error."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Print both medians and their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        picture = str(Path(folder, "out.png"))
        tool = str(Path(sys.executable).with_name("gen-export"))
        ours = [tool, "sample", str(arguments.file), "--count", "1", "--png", picture]
        floor = [sys.executable, "-c", "import onnxruntime"]
        pairs = [(wall_seconds(ours), wall_seconds(floor)) for _ in range(arguments.rounds)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"gen-export sample {mine:.2f} s, import onnxruntime {theirs:.2f} s: {mine - theirs:.2f} s more")


if __name__ == "__main__":
    main()
