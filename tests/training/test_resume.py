"""A run that is killed and resumed ends with the bits of the run that never stopped.

The runs are real command lines in processes of their own, which end themselves at a known step.
"""

import json
import signal

import pytest
import torch

from gen_export.models import family_class
from gen_export.training import checkpoint, run
from gen_export.training.settings import TrainSettings
from gen_runtime import load

CPU = torch.device("cpu")
STEPS = 30
# After this many finished steps the process sends itself the signal, in the middle of a step.
AT = 23
CHILD = """
import os, sys
from gen_export.training.step import Learner
step = Learner.step
def until(self, x):
    if self.state.step == {at}:
        os.kill(os.getpid(), {number})
    return step(self, x)
Learner.step = until
sys.argv = ["gen-export", *{words!r}]
from gen_export.cli import main
main()
"""
CONFIG = {"vae": {"size": "tiny", "latent": 4}, "diffusion": {"size": "tiny", "states": 50}}
SETTINGS = {"steps": STEPS, "batch_size": 4, "save_every": 9, "warmup": 5, "seed": -5}


def words(name, folder):
    """The command line of a run on the sprites."""
    options = {**CONFIG[name], **SETTINGS}
    flags = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
    return ["train", name, "--data=sprites", f"--out={folder}", "--device=cpu", *flags]


def stopped(run_python, name, folder, number):
    """A run ended by a signal during the step after the 23rd."""
    code = CHILD.format(at=AT, number=int(number), words=words(name, folder))
    return run_python("-W", "error", "-c", code)


def straight(name, folder):
    """The same run, never stopped."""
    settings = TrainSettings(**{**family_class(name).defaults, **SETTINGS})
    run.start(name, CONFIG[name], settings, run.Source("sprites"), folder, CPU)
    return checkpoint.load(folder)


def assert_same_bits(resumed, expected):
    assert resumed.keys() == expected.keys()
    different = [name for name, value in expected.items() if not torch.equal(resumed[name], value)]
    assert different == []


def steps_in_log(folder):
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["vae", "diffusion"])
def test_a_killed_run_resumes_to_the_bits_of_the_run_that_never_stopped(run_python, tmp_path, name):
    folder = tmp_path / "killed"
    killed = stopped(run_python, name, folder, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert checkpoint.load(folder)[0].step == 18
    assert steps_in_log(folder) == [0, 9, 18, 20]

    if name == "diffusion":  # by the command line, which also exports; once, for exporting takes its time
        resumed = run_python("-W", "error", "cli.py", "train", name, "--resume", f"--out={folder}", "--device=cpu")
        assert resumed.returncode == 0, resumed.stderr
        assert load(folder / "diffusion.onnx", device="cpu").sample(2, steps=2).shape == (2, 32, 32, 3)
    else:
        run.resume(name, folder, CPU)

    record, tensors = checkpoint.load(folder)
    expected_record, expected = straight(name, tmp_path / "straight")
    assert_same_bits(tensors, expected)
    assert record.step == STEPS
    assert record.held_out == expected_record.held_out
    assert steps_in_log(folder) == [0, 9, 18, 20, 27, 30, 30]


def test_ctrl_c_saves_and_exits_with_130_and_the_run_resumes_to_the_same_bits(run_python, tmp_path):
    folder = tmp_path / "stopped"
    interrupted = stopped(run_python, "diffusion", folder, signal.SIGINT)

    assert interrupted.returncode == 130
    assert interrupted.stderr == f"gen-export: {folder}: stopped after step {AT + 1}, saved; go on with --resume\n"
    assert checkpoint.load(folder)[0].step == AT + 1
    run.resume("diffusion", folder, CPU)
    assert_same_bits(checkpoint.load(folder)[1], straight("diffusion", tmp_path / "straight")[1])
