"""The Python host on the suite that every host runs: the same files, calls, answers and refusals."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gen_runtime import FileError, GraphError, PortError, load
from tests.golden.cases import all_cases
from tests.golden.suite import FOLDER, load_suite, read, require_equal

SUITE = load_suite()
ERRORS = {"file": FileError, "graph": GraphError, "port": PortError}
ANSWERED = [case for case in SUITE["cases"] if "error" not in case]
REFUSED = [case for case in SUITE["cases"] if "error" in case]


@pytest.fixture(scope="module")
def models():
    return {model["file"]: load(FOLDER / f"{model['file']}.onnx", "cpu", 1) for model in SUITE["models"]}


def call(model, case):
    """The outputs by name."""
    graph, inputs = model.graph(case["graph"]), {name: read(value) for name, value in case["inputs"].items()}
    if "batch" in case:
        return {"images": model.sample(**inputs, batch=case["batch"])}
    return graph.execute(graph.check(inputs))


def require_answer(model, case):
    found = call(model, case)
    assert list(found) == list(case["outputs"])
    for name, value in case["outputs"].items():
        require_equal(found[name], read(value), case.get("tolerance"))


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: case["name"])
def test_the_answer_is_the_expected_one(models, case):
    require_answer(models[case["file"]], case)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_the_refusal_says_what_is_wrong_in_one_line(case):
    with pytest.raises(ERRORS[case["error"]]) as error:
        call(load(FOLDER / f"{case['file']}.onnx", "cpu", 1), case)

    assert case["says"] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("expected", SUITE["models"], ids=lambda model: model["file"])
def test_the_card_says_what_the_file_is(models, expected):
    model = models[expected["file"]]
    image = model.card.image

    assert (model.card.family, list(model.graphs)) == (expected["family"], expected["graphs"])
    assert {"height": image.height, "width": image.width, "channels": image.channels} == expected["image"]


def test_eight_threads_on_the_same_models_get_the_answers_of_one(models):
    with ThreadPoolExecutor(8) as pool:
        for answer in [pool.submit(require_answer, models[case["file"]], case) for case in ANSWERED]:
            answer.result()


def test_the_suite_has_every_case_once_and_calls_every_graph_of_every_file():
    names = [case["name"] for case in SUITE["cases"]]
    called = {(case["file"], case["graph"]) for case in ANSWERED}
    graphs = {(model["file"], graph) for model in SUITE["models"] for graph in model["graphs"]}

    assert names == [case.name for case in all_cases()]
    assert len(set(names)) == len(names)
    assert called == graphs
