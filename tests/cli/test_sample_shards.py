"""Images in shards: the same files however the work is shared out, killed, repeated or raced."""

import io
import json
import subprocess
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gen_export.shards.manifest import settle
from gen_export.shards.sample import sample_shards
from gen_export.shards.shard import Shard
from gen_runtime import FileError, PortError, load
from gen_runtime.card import ImageShape
from tests.runtime import files

SIZE, COUNT = 8, 24


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return files.write_model(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def model(tiny):
    return load(tiny, device="cpu")


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """What one run writes, by file name."""
    folder = tmp_path_factory.mktemp("whole")
    assert sample_shards(model, folder, 7, 0, COUNT, SIZE) == 3
    return contents(folder)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pictures(path):
    """The images of a shard by the name of their file."""
    with tarfile.open(path) as archive:
        return {entry.name: np.asarray(Image.open(archive.extractfile(entry))) for entry in archive}


def in_a_process(tiny, folder, before="", progress="None"):
    """Starts a process that draws the three shards."""
    code = f"""
import os, resource, sys
from pathlib import Path
from gen_export.shards.sample import sample_shards
from gen_runtime import FileError, load
{before}
try:
    sample_shards(load({str(tiny)!r}, device="cpu"), Path({str(folder)!r}), 7, 0, {COUNT}, {SIZE}, 3, {progress})
except FileError as error:
    sys.exit(str(error))
"""
    return subprocess.Popen([sys.executable, "-W", "error", "-c", code], stderr=subprocess.PIPE, text=True)


def test_shards_hold_the_images_of_the_seed_in_order(call, tiny, tmp_path):
    words = ("--seed", 7, "--first", 8, "--count", 16, "--shards", "out", "--shard-size", 8, "--steps", 3)
    code, out, err = call("sample", tiny, *words)

    assert (code, out, err) == (0, "2 shards of 8 images of 4x5, seed 7, 2 of them new: out\n", "")
    expected = files.expected(16, seed=7, first=8, steps=3)[..., 0]
    for at in (8, 16):
        found = pictures(tmp_path / "out" / f"seed7-{at:09d}-{at + 7:09d}.tar")
        assert list(found) == [f"{index:09d}.png" for index in range(at, at + 8)]
        assert np.array_equal(list(found.values()), expected[at - 8 : at])


def test_nothing_of_the_machine_or_the_hour_is_in_a_shard(whole):
    with tarfile.open(fileobj=io.BytesIO(whole["seed7-000000000-000000007.tar"])) as archive:
        for entry in archive:
            assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode) == (0, 0, 0, "", "", 0o644)


@settings(max_examples=20, deadline=None)
@given(
    ranges=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)).filter(lambda r: sum(r) <= 3), max_size=4),
    batch=st.integers(1, 30),
)
def test_any_ranges_in_any_order_and_batches_end_in_the_files_of_one_run(model, whole, tmp_path_factory, ranges, batch):
    folder = tmp_path_factory.mktemp("split")
    for start, many in [*ranges, (0, 3)]:
        sample_shards(model, folder, 7, start * SIZE, many * SIZE, SIZE, batch)

    assert contents(folder) == whole


def test_a_whole_shard_is_left_alone_and_the_bar_still_counts_it(model, whole, tmp_path):
    told = []
    sample_shards(model, tmp_path, 7, 8, 8, SIZE)
    before = (tmp_path / "seed7-000000008-000000015.tar").stat()

    assert sample_shards(model, tmp_path, 7, 0, COUNT, SIZE, 5, lambda *counts: told.append(counts)) == 2
    assert (tmp_path / "seed7-000000008-000000015.tar").stat() == before
    assert list(dict.fromkeys(told)) == [(5, 24), (8, 24), (16, 24), (21, 24), (24, 24)]
    assert contents(tmp_path) == whole


def broken(how, content):
    """A shard's bytes with a fault."""
    at = content.index(b"IDAT") + 6
    return {
        "empty": b"",
        "cut in its header": content[:100],
        "cut in an image": content[: len(content) // 2],
        "cut after its images": content[:-512],
        "a wrong bit": content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
        "another name": content.replace(b"000000009.png", b"000000009.jpg", 1),
        "another shard": None,
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "cut in its header",
        "cut in an image",
        "cut after its images",
        "a wrong bit",
        "another name",
        "another shard",
    ],
)
def test_a_shard_that_is_not_whole_is_drawn_again(model, whole, tmp_path, how):
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    fault = broken(how, whole["seed7-000000008-000000015.tar"]) or b""
    fault = whole["seed7-000000000-000000007.tar"] if how == "another shard" else fault
    (tmp_path / "seed7-000000008-000000015.tar").write_bytes(fault)

    assert sample_shards(model, tmp_path, 7, 0, COUNT, SIZE) == 1
    assert contents(tmp_path) == whole


def test_a_run_that_is_killed_goes_on_without_loss_or_duplicates(tiny, model, whole, tmp_path):
    killed = in_a_process(tiny, tmp_path, progress="lambda done, total: done == 14 and os.kill(os.getpid(), 9)")
    assert killed.wait(60) == -9
    killed.stderr.close()
    left = contents(tmp_path)
    assert [name for name in left if name.endswith(".draft")]
    assert {name: left[name] for name in left.keys() & whole.keys()}.items() <= whole.items()
    assert "seed7-000000008-000000015.tar" not in left

    assert sample_shards(model, tmp_path, 7, 0, COUNT, SIZE) == 2
    assert contents(tmp_path) == whole


def test_processes_that_race_on_one_folder_all_end_with_the_same_whole_files(tiny, whole, tmp_path):
    racing = [in_a_process(tiny, tmp_path / "out") for _ in range(3)]

    assert [process.communicate(timeout=60)[1] for process in racing] == ["", "", ""]
    assert contents(tmp_path / "out") == whole


def test_a_worker_whose_shard_another_finishes_meanwhile_ends_well(tmp_path):
    shard = Shard(tmp_path, 7, range(8), ImageShape(4, 5, 1))
    images = files.expected(8, seed=7)

    def overtaken():
        yield images[:4]
        Shard(tmp_path, 7, range(8), ImageShape(4, 5, 1)).write([images])
        yield images[4:]

    shard.write(overtaken())

    assert shard.is_whole()
    assert list(contents(tmp_path)) == ["seed7-000000000-000000007.tar"]


def test_a_full_disk_is_told_in_one_line_and_leaves_no_part_of_a_shard(tiny, model, whole, tmp_path):
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    process = in_a_process(tiny, tmp_path, before=limit)

    assert process.communicate(timeout=60)[1] == (
        f"{tmp_path}/seed7-000000000-000000007.tar: cannot be written: File too large\n"
    )
    assert list(contents(tmp_path)) == ["samples.json"]
    sample_shards(model, tmp_path, 7, 0, COUNT, SIZE)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize(
    ("inputs", "size", "told"),
    [
        ({"steps": 10}, 8, "the images here have steps 50, found 10: take another folder"),
        ({"eta": 0.1}, 8, "the images here have eta 0.0, found 0.1: take another folder"),
        ({}, 4, "the images here have shard_size 8, found 4: take another folder"),
    ],
)
def test_a_folder_of_other_options_is_refused_by_the_option(model, whole, tmp_path, inputs, size, told):
    sample_shards(model, tmp_path, 7, 0, COUNT, SIZE, steps=50)

    with pytest.raises(FileError, match=rf"samples\.json: {told}"):
        sample_shards(model, tmp_path, 7, 0, COUNT, size, **inputs)
    assert contents(tmp_path) == whole


def test_of_runs_with_other_options_that_come_at_once_one_gets_the_folder(tmp_path):
    many, rounds = 8, 20  # so that a rename in place of the link is found every time, not sometimes
    gate = threading.Barrier(many)

    def settled(folder, steps):
        gate.wait(timeout=60)
        try:
            settle(folder, {"version": 1, "inputs": {"steps": steps}})
        except FileError:
            return False
        return True

    with ThreadPoolExecutor(many) as pool:
        for number in range(rounds):
            folder = tmp_path / str(number)
            assert sum(pool.map(partial(settled, folder), range(many))) == 1
            assert list(contents(folder)) == ["samples.json"]


def test_a_folder_of_another_file_is_refused(model, tmp_path):
    sample_shards(model, tmp_path / "out", 7, 0, SIZE, SIZE)
    other = load(files.write_model(tmp_path, name="other", parts=("encode",)), device="cpu")

    with pytest.raises(FileError, match=r'the images here have sha256 "[0-9a-f]{64}", found "[0-9a-f]{64}"'):
        sample_shards(other, tmp_path / "out", 7, 0, SIZE, SIZE)


def test_seeds_share_a_folder(model, tmp_path):
    sample_shards(model, tmp_path, 7, 0, SIZE, SIZE)
    sample_shards(model, tmp_path, -3, 0, SIZE, SIZE)

    found = pictures(tmp_path / "seed-3-000000000-000000007.tar")
    assert np.array_equal(list(found.values()), files.expected(8, seed=-3)[..., 0])


@pytest.fixture
def labelled(tmp_path):
    """A sampler that takes a class: one of two, any, or by default each in turn."""
    document = files.card("sample")
    (port,) = (port for port in document["inputs"] if port["name"] == "steps")
    port |= {"name": "label", "choices": ["cat", "dog", "any", "each"], "minimum": 0, "maximum": 3, "default": 3}
    source = files.text("sample").replace("steps = {50}", "label = {3}").replace("steps", "label")
    return load(files.write(tmp_path / "labelled.onnx", source, document), device="cpu")


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [({"label": "dog"}, "111111"), ({"label": 0}, "000000"), ({}, "010101"), ({"label": 3}, "010101")],
)
def test_the_class_of_each_image_stands_beside_it(labelled, tmp_path, inputs, labels):
    folder = tmp_path / "out"
    sample_shards(labelled, folder, 7, 0, 6, 3, **inputs)

    found = ""
    for first in (0, 3):
        with tarfile.open(folder / f"seed7-{first:09d}-{first + 2:09d}.tar") as archive:
            indices = range(first, first + 3)
            assert archive.getnames() == [f"{index:09d}.{kind}" for index in indices for kind in ("png", "cls")]
            found += "".join(archive.extractfile(f"{index:09d}.cls").read().decode() for index in indices)
    assert found == labels


def test_images_of_any_class_have_none(labelled, tmp_path):
    sample_shards(labelled, tmp_path / "out", 7, 0, 2, 2, label="any")

    assert list(pictures(tmp_path / "out" / "seed7-000000000-000000001.tar")) == ["000000000.png", "000000001.png"]


def test_the_name_and_the_number_of_a_class_are_the_same_option(labelled, tmp_path):
    sample_shards(labelled, tmp_path / "out", 7, 0, 2, 2, label="dog")
    sample_shards(labelled, tmp_path / "out", 7, 2, 2, 2, label=1)

    assert json.loads((tmp_path / "out" / "samples.json").read_text())["inputs"] == {"label": "dog", "eta": 0.0}
    with pytest.raises(FileError, match='have label "dog", found "each"'):
        sample_shards(labelled, tmp_path / "out", 7, 4, 2, 2)


def test_a_shard_with_a_wrong_label_is_drawn_again(labelled, tmp_path):
    sample_shards(labelled, tmp_path / "out", 7, 0, 2, 2, label="dog")
    path = tmp_path / "out" / "seed7-000000000-000000001.tar"
    content = path.read_bytes()
    with tarfile.open(path) as archive:
        at = archive.getmember("000000001.cls").offset_data
    path.write_bytes(content[:at] + b"0" + content[at + 1 :])

    assert sample_shards(labelled, tmp_path / "out", 7, 0, 2, 2, label="dog") == 1
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"count": 12}, "sample: count: expected a multiple of the shard size 8, found 12"),
        ({"first": 4}, "sample: first: expected a multiple of the shard size 8, found 4"),
        ({"first": -8}, "sample: first: expected at least 0, found -8"),
        ({"count": 0}, "sample: count: expected at least 1, found 0"),
        ({"count": 2**63}, r"sample: .* expected"),
        ({"size": 0}, "sample: shard size: expected at least 1, found 0"),
        ({"batch": 0}, "sample: batch: expected at least 1, found 0"),
        ({"seed": 2**63}, "sample: seed: expected int64, found 9223372036854775808"),
    ],
)
def test_a_range_that_cannot_be_drawn_is_refused_before_anything_is_written(model, tmp_path, changes, told):
    arguments = {"seed": 7, "first": 0, "count": 8, "size": 8} | changes

    with pytest.raises(PortError, match=told):
        sample_shards(model, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused(call, tiny, tmp_path):
    (tmp_path / "out").write_text("mine")

    code, _, err = call("sample", tiny, "--count", 8, "--shards", "out", "--shard-size", 8)

    assert (code, err) == (2, "gen-export: out: expected a folder, found a file\n")


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', "\xff"])
def test_a_manifest_that_is_none_is_refused(model, tmp_path, content):
    (tmp_path / "samples.json").write_bytes(content.encode("latin-1"))

    with pytest.raises(FileError, match=r"samples\.json: expected what drew the images here, found "):
        sample_shards(model, tmp_path, 7, 0, SIZE, SIZE)


def test_shards_and_a_picture_are_not_asked_for_at_once(call, tiny):
    code, _, err = call("sample", tiny, "--shards", "out", "--png", "a.png")

    assert code == 2
    assert "shards take the place of --ppm, --png and --npy" in err


def test_a_count_of_no_whole_shards_says_which_size_it_needs(call, tiny):
    code, _, err = call("sample", tiny, "--count", 16, "--shards", "out")

    assert (code, err) == (2, "gen-export: sample: count: expected a multiple of the shard size 1000, found 16\n")
