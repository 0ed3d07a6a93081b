"""The page: whole in itself, deaf to what strangers write, with a line for each thing that is not there."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gen_export.data.image_set import ArraySet
from gen_export.errors import ConfigError
from gen_export.report.drawn import PATHS, SEED, STATIONS, between_samples
from gen_export.report.page import duration, megabytes, page
from gen_export.report.run import read_run
from gen_export.verify.onnx_file import OnnxFile
from gen_runtime import grid, load
from gen_runtime.card import KEY
from gen_runtime.images import png

pytest.importorskip("jinja2")

DATE = "2026-01-02 03:04 UTC"
EMPTY = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """The tags of a page, each with its attributes, its headings, and what is left open."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.headings = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h3":
            self.headings.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def text_of(folder, held_out=None):
    return page(read_run(folder), held_out, DATE)


@pytest.fixture
def run_of(exported, folder):
    """The exported files of a family in a run's folder."""

    def copied(name):
        shutil.copytree(exported(name).parent, folder, dirs_exist_ok=True)
        return folder

    return copied


@pytest.fixture(scope="module")
def held_out():
    """Twenty grey images of 8x8 pixels."""
    return ArraySet("dots", np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8))


def test_the_page_needs_nothing_but_itself(run_of, make_run):
    make_run([{"step": 0, "held_out": {"loss": 2.0}}, {"step": 20, "loss": 1.0}], previews=[20])
    text = text_of(run_of("vae"))
    found = Page(text)

    assert found.open == []
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in found.tags}
    assert len(found.all("img")) == 3
    assert all(image["src"].startswith("data:image/png;base64,") for image in found.all("img"))
    assert not re.search(r"https?://|url\(|@import|\bon\w+=", text)
    policy = next(each for each in found.all("meta") if "http-equiv" in each)
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_what_strangers_write_is_text_and_no_markup(make_run):
    evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
    entries = [{"step": 1, evil: 1.0, "held_out": {evil: 2.0}}]
    folder = make_run(entries, {"family": evil, "config": {evil: evil}, "data": {"name": evil}, "settings": [evil]})
    (folder / "sessions.jsonl").write_text(
        json.dumps({"step": 0, "command": evil, evil: evil, "versions": evil}) + "\n"
    )
    (folder / f"{evil.replace('/', '')}.onnx").write_text(evil)
    found = Page(text_of(folder))

    assert not {"script", "img"} & {tag for tag, _ in found.tags}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]


def test_a_run_says_what_made_it(make_run):
    folder = make_run([], {"family": "vae", "config": {"latent": 32}, "data": {"name": "sprites"}, "step": 1500,
                           "seconds": 3725, "settings": {"batch_size": 64}})  # fmt: skip
    session = {"step": 0, "date": "2026-01-01", "command": "gen-export train vae", "cpu": "Threefold X"}
    (folder / "sessions.jsonl").write_text(json.dumps(session) + "\n")
    text = text_of(folder)

    assert "<h1>vae on sprites</h1>" in text
    for words in ("gen-export train vae", "Threefold X", "1,500", "96,000", "1 h 2 min", "latent"):
        assert words in text
    assert "No command" not in text


def test_what_is_not_there_is_left_out_with_a_line_on_how_to_get_it(make_run):
    text = text_of(make_run([]))

    for line in (
        "No command and environment",
        "No curves: gen-export train",
        "No exported files: gen-export export RUN",
    ):
        assert line in text
    assert Page(text).headings == []


def test_files_without_stamps_say_how_to_get_them(run_of):
    text = text_of(run_of("vae"))

    assert "No facts: gen-export verify vae.onnx --stamp checks" in text
    assert "No scores: gen-export eval vae.onnx --data SOURCE --stamp" in text


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        ("vae", ["Drawn by the file", "Between two samples"]),
        ("gan", ["Drawn by the file", "Between two samples"]),
        ("diffusion", ["Drawn by the file", "Between two samples", "Along the sampler's steps"]),
        ("vqvae", ["Drawn by the file", "Use of the codebook"]),
        ("autoencoder", ["Between two codes"]),
        ("mae", []),
        ("classifier", []),
    ],
)
def test_each_family_shows_what_its_files_can_draw(run_of, held_out, name, headings):
    found = Page(text_of(run_of(name), held_out)).headings

    drawn = ("Drawn", "Between", "Use", "Along")
    assert [heading for heading in found if heading.startswith(drawn)] == headings
    assert "Worst of all batches and options" in found


def test_the_pictures_are_those_that_the_file_draws(run_of):
    folder = run_of("vae")
    drawn = load(folder / "vae.onnx", device="cpu").sample(36, 1)

    assert base64.b64encode(png(grid(drawn))).decode() in text_of(folder)


@pytest.mark.parametrize(("name", "options"), [("vae", {}), ("labelled_vae", {"label": "any"})])
def test_the_ways_between_samples_begin_and_end_at_samples(run_of, name, options):
    model = load(run_of(name) / f"{name}.onnx", device="cpu")
    samples = model.sample(2 * PATHS, SEED, **options).astype(int)
    (picture,) = between_samples(model).pictures
    cells = pixels(picture).reshape(PATHS, 10, STATIONS, 10)[:, :8, :, :8].transpose(0, 2, 1, 3)

    assert np.abs(cells[:, 0] - samples[::2, ..., 0]).max() <= 1  # noise agrees but for one number in some millions
    assert np.abs(cells[:, -1] - samples[1::2, ..., 0]).max() <= 1
    assert np.abs(cells[:, 4] - samples[::2, ..., 0]).max() > 1


def pixels(picture):
    """A picture's grey levels, with a gap of two pixels after the last image too."""
    with Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))) as image:
        return np.pad(np.asarray(image).astype(int), ((0, 2), (0, 2)))


def test_the_codebook_says_how_many_of_its_codes_are_used(run_of, held_out):
    folder = run_of("vqvae")
    encode = load(folder / "vqvae.onnx", device="cpu").graph("encode")
    indices = encode.execute({"image": (held_out.images(np.arange(20)).transpose(0, 3, 1, 2) / 127.5 - 1).astype("f")})
    used = len(np.unique(indices["indices"]))

    assert re.search(rf"{used} of \d+ codes occur in 20 held-out images", text_of(folder, held_out))


def test_without_images_the_codebook_says_how_to_show_it(run_of):
    assert "No use of the codebook: gen-export report RUN --data SOURCE" in text_of(run_of("vqvae"))


def test_images_of_another_size_are_refused(run_of):
    other = ArraySet("dots", np.zeros((2, 9, 9, 3), np.uint8))

    with pytest.raises(ConfigError, match=r"--data: expected images of \(8, 8, 1\), found \(9, 9, 3\)"):
        text_of(run_of("vqvae"), other)


def write_section(path, **sections):
    """Puts sections into a file's card."""
    file = OnnxFile.read(path)
    document = {**json.loads(file.metadata[KEY]), **sections}
    path.write_bytes(file.with_metadata(KEY, json.dumps(document)).data)


def test_facts_scores_and_certificates_are_shown_as_the_card_has_them(run_of):
    path = run_of("diffusion") / "diffusion.onnx"
    fact = {"kind": "exact", "verdict": "passed", "error": 0.0, "bound": 0.25}
    scores = {"frechet_distance": {"value": 12.5, "error": None}, "kernel_distance": {"value": 0.5, "error": 0.125}}
    write_section(
        path,
        verified={"files": {}, "facts": {"gen_export.unheard_of": fact}, "passed": 1, "skipped": 0, "tool": "0.0.9"},
        evaluation={"data": "dots", "images": 500, "floor": {"frechet_distance": 3.5}, "scores": scores},
        certificate={"lipschitz": 23.90001, "steps": [], "slopes": [], "log10": {}, "run_log10": {"ddim": 9.52612}},
    )
    text = text_of(path.parent)

    assert "The stamp of gen-export 0.0.9 does not fit: a file was changed after it was verified." in text
    assert re.search(r"gen_export.unheard_of</td><td>exact</td><td>0</td><td>0.25</td><td>passed", text)
    assert re.search(r"frechet distance</td><td>12.5</td><td>3.5</td>", text)
    assert re.search(r"kernel distance</td><td>0.5 ± 0.12</td><td></td>", text)
    assert "<dd>23.91</dd>" in text  # a bound is rounded up
    assert "<dd>10^9.527</dd>" in text


@pytest.mark.parametrize(
    "value", [{}, {"facts": 3}, {"scores": [1], "floor": "x"}, {"refused": ["<b>"]}, {"run_log10": {"a": "b"}}]
)
def test_sections_of_another_form_break_nothing(run_of, value):
    path = run_of("diffusion") / "diffusion.onnx"
    write_section(
        path, verified=value, evaluation=value, certificate=value, trajectory=value, training=value, data=value
    )

    assert Page(text_of(path.parent)).open == []


def test_a_file_that_does_not_draw_is_one_line(run_of):
    path = run_of("vae") / "vae.onnx"
    (path.parent / "vae.sample_from_noise.onnx").write_bytes(path.read_bytes())
    text = text_of(path.parent)

    assert "No ways between samples: " in text
    assert "Drawn by the file" in Page(text).headings


def test_files_whose_parts_lie_elsewhere_are_left_out(run_of, tmp_path):
    folder = run_of("vae")
    part = folder / "vae.encode.onnx"
    part.rename(tmp_path / "elsewhere.onnx")
    part.symlink_to(tmp_path / "elsewhere.onnx")

    assert "The exported files are left out: " in text_of(folder)


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.6, "9 s"), (62, "1 min 2 s"), (3600, "1 h 0 min"), (59.7, "1 min 0 s")]
)
def test_times_are_in_their_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_sizes_are_in_the_unit_that_suits_them():
    assert (megabytes(577_000), megabytes(5_249_588)) == ("577 kB", "5.2 MB")
