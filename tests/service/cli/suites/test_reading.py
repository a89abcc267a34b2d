"""Suite files: what they may hold, and what is said of mistakes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from service.cli.exits import UsageProblem
from service.cli.suites.plan import read_plan
from service.cli.suites.reading import read, schema
from service.cli.suites.suite import Threshold
from tests.service.cli.suites.making import SUITE, folder


def complaint(place: Path, text: str) -> str:
    """What is said of a suite file with this text."""
    file = place / "suite.yaml"
    file.write_text(text)
    with pytest.raises(UsageProblem) as caught:
        read(file)
    assert caught.value.code == 2
    return str(caught.value).replace(f"{file}: ", "")


def test_a_suite_is_read_with_its_defaults(tmp_path: Path) -> None:
    suite = read(folder(tmp_path))
    assert (suite.name, suite.repeats, suite.max_errors, suite.one_conversation) == ("Offices", 1, 0, False)
    assert suite.document_stores[0].files == ("notes",)
    assert suite.metrics is not None
    assert [(metric.name, metric.options) for metric in suite.metrics] == [("recall@5", {})]
    assert suite.thresholds[0].target == ("*",)
    assert suite.targets[0].name == "retrieval"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nmae": "x"}, "nmae: unknown key; did you mean name?"),
        ({"name": None}, "name: is missing; add it"),
        ({"targets": []}, "targets: "),
        (
            {"targets": [{"document_stroe": "Notes"}]},
            "targets[0].document_stroe: unknown key; did you mean document_store",
        ),
        ({"targets": [{"label": "x"}]}, "targets[0]: give one of document_store, flow, flow_file, answers_from"),
        ({"targets": [{"flow": "a", "flow_file": "b"}]}, "targets[0]: give one of flow and flow_file, not several"),
        ({"targets": [{"flow": "a", "answers_from": "b"}]}, "not beside flow"),
        ({"targets": [{"flow": "a"}, {"flow": "a"}]}, "targets[1]: another target is called 'a' too: give it a label"),
        ({"dataset": {}}, "dataset: give the name of a dataset that the service has, or a file"),
        ({"dataset": {"name": "x", "leave_out": {"kind": "y"}}}, "dataset: leave_out is of a file: name one"),
        ({"metrics": [{"name": "recall", "option": {}}]}, "metrics[0].option: unknown key; did you mean options?"),
        ({"thresholds": [{"metric": "recall@5"}]}, "thresholds[0]: give fail_under or fail_over"),
        ({"thresholds": [{"metric": "mrr", "fail_under": "low"}]}, "fail_under: input should be a valid number"),
        ({"thresholds": [{"metric": "mrr", "fail_under": float("nan")}]}, "thresholds[0].fail_under: "),
        ({"thresholds": [{"metric": "mrr", "fail_under": 1, "statistic": "median"}]}, "thresholds[0].statistic: "),
        (
            {"thresholds": [{"metric": "mrr", "fail_under": 1, "target": "x"}]},
            "there is no target 'x', but 'retrieval'",
        ),
        ({"repeats": 21}, "repeats: input should be less than or equal to 20, and it is 21"),
        ({"evaluators": [{"name": "Polite", "operator": "ContainsAny"}]}, "evaluators[0]: an evaluator with fields"),
        ({"baseline": {"tolerance": -1}}, "baseline.tolerance: must not be below 0"),
        ({"version": 2}, "version: input should be 1"),
        ({"document_stores": [SUITE["document_stores"][0]] * 2}, "two of them have the same name"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    kept = {key: value for key, value in {**SUITE, **changes}.items() if value is not None}
    told = complaint(tmp_path, yaml.safe_dump(kept))
    assert said in told


def test_several_mistakes_are_told_at_once_and_no_more_than_can_be_read(tmp_path: Path) -> None:
    text = yaml.safe_dump({**SUITE, **{f"key{number}": 1 for number in range(9)}})
    told = complaint(tmp_path, text).splitlines()
    assert (len(told), told[-1]) == (6, "and 4 more")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "must be a mapping with name, dataset, targets"),
        ("name: [", "not valid YAML: line "),
        ("name: a\nname: b\n", "line 2, column 1: the key 'name' comes twice"),
        ("name: !!python/object/apply:os.system [x]", "not valid YAML"),
    ],
)
def test_what_is_no_suite_is_said_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    told = complaint(tmp_path, text)
    assert said in told
    assert "\n" not in told


def test_a_file_that_is_not_there_is_a_usage_problem(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be read"):
        read(tmp_path / "none.yaml")


def test_editors_are_given_a_schema_that_takes_what_is_taken_and_refuses_what_is_refused(tmp_path: Path) -> None:
    made = json.loads(json.dumps(schema()))
    validator = jsonschema.Draft202012Validator(made)
    validator.check_schema(made)
    handbook = Path(__file__).parents[4] / "datasets" / "handbook" / "suite.yaml"
    assert not list(validator.iter_errors(yaml.safe_load(handbook.read_text("utf-8"))))
    assert not list(validator.iter_errors(SUITE))
    for changes in ({"nmae": "x"}, {"targets": [{"flow": 1}]}, {"metrics": [{"option": 1}]}, {"repeats": 0}):
        assert list(validator.iter_errors({**SUITE, **changes})), changes


# What a suite names is looked at before any service is asked


def plan_complaint(file: Path) -> str:
    """What is said of a suite whose files do not fit."""
    with pytest.raises(UsageProblem) as caught:
        read_plan(file, [])
    return str(caught.value)


def test_the_plan_holds_what_the_suite_names(tmp_path: Path) -> None:
    plan = read_plan(folder(tmp_path), [Threshold(metric="mrr", fail_under=0.5)])
    assert [name for name, _ in plan.fillings[0].files] == ["a.md"]
    assert plan.rows is not None
    assert plan.rows[0]["sources"] == [{"source": "a.md"}]
    assert plan.metrics is not None
    assert [metric.name for metric in plan.metrics] == ["recall@5", "mrr"]  # what only a threshold names is measured
    assert [threshold.metric for threshold in plan.thresholds] == ["recall@5", "mrr@10"]  # by their labels


def test_the_same_files_and_settings_are_known_again_and_others_are_not(tmp_path: Path) -> None:
    file = folder(tmp_path)
    first = read_plan(file, []).fillings[0]
    assert read_plan(file, []).fillings[0] == first
    (tmp_path / "notes" / "b.md").write_text("More.")
    second = read_plan(file, []).fillings[0]
    assert (second.content != first.content, second.settings == first.settings) == (True, True)
    stores = [{"name": "Notes", "files": ["notes"], "splitter": {"name": "sentence", "config": {"chunkSize": 200}}}]
    third = read_plan(folder(tmp_path, document_stores=stores), []).fillings[0]
    assert (third.content == second.content, third.settings != second.settings) == (True, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"document_stores": [{"name": "Notes", "files": ["none"]}]}, "document_stores[0].files[0]: there is no"),
        ({"dataset": {"file": "none.jsonl"}}, "dataset.file: there is no"),
        ({"targets": [{"flow_file": "none.json"}]}, "targets[0].flow_file: there is no"),
        ({"targets": [{"flow_file": "rows.jsonl"}]}, "targets[0].flow_file: "),
        ({"metrics": ["recal"]}, "metrics[0]: "),
        ({"metrics": [{"name": "recall", "options": {"k": 0}}]}, "metrics[0]: metric 'recall': k: "),
        (
            {"thresholds": [{"metric": "recal@5", "fail_under": 1}]},
            "thresholds[0].metric: there is no metric or evaluator",
        ),
    ],
)
def test_what_a_suite_names_must_be_there(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = folder(tmp_path, **changes)
    told = plan_complaint(file)
    assert told.startswith(f"{file}: {said}")


NAMING: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
    ("document_stores[0].files[1]", lambda name: {"document_stores": [{"name": "Notes", "files": ["notes", name]}]}),
    ("dataset.file", lambda name: {"dataset": {"file": name}}),
    ("targets[0].flow_file", lambda name: {"targets": [{"flow_file": name}]}),
    ("baseline.file", lambda name: {"baseline": {"file": name}}),
]
"""The keys that name files."""


@pytest.mark.parametrize(("key", "naming"), NAMING, ids=[key for key, _ in NAMING])
def test_a_suite_names_files_of_its_own_folder_only(
    key: str, naming: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    place = tmp_path / "suite"
    place.mkdir()
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"input": "the password"}')
    (place / "link.jsonl").symlink_to(secret)
    (place / "up").symlink_to(tmp_path)
    names = ("../secret.jsonl", "notes/../../secret.jsonl", "link.jsonl", "up/secret.jsonl", "up", "..", "~", "/")
    for name in (*names, str(secret), "../none.jsonl", str(tmp_path / "suite-2")):
        file = folder(place, **naming(name))
        told = plan_complaint(file)
        assert told.startswith(f"{file}: {key}: {name!r} leads out of {place.resolve()}, "), told
        assert told.endswith("with --root")
        assert "password" not in told
    for name in ("\0", "~nobody-of-this-name/x"):
        assert f"{key}: {name!r} is no path that can be followed" in plan_complaint(folder(place, **naming(name)))


def test_a_wider_folder_may_be_allowed_and_a_link_may_stay_inside(tmp_path: Path) -> None:
    place = tmp_path / "repository" / "suites"
    place.mkdir(parents=True)
    (tmp_path / "repository" / "docs").mkdir()
    (tmp_path / "repository" / "docs" / "b.md").write_text("The canteen opens at noon.")
    (tmp_path / "repository" / "run.json").write_text("{}")
    (place / "linked").symlink_to(tmp_path / "repository" / "docs")
    stores = [{"name": "Notes", "files": ["notes", "../docs", "linked/b.md"]}]
    file = folder(place, document_stores=stores, baseline={"file": "../run.json"})
    plan = read_plan(file, [], root=tmp_path / "repository")
    assert [name for name, _ in plan.fillings[0].files][:2] == ["a.md", "b.md"]
    assert plan.baseline is not None
    assert plan.baseline.read_text() == "{}"
    with pytest.raises(UsageProblem, match="leads out of"):
        read_plan(file, [], root=tmp_path / "repository" / "docs")
    (place / "own").symlink_to(place / "notes")
    assert read_plan(folder(place, document_stores=[{"name": "Notes", "files": "own"}]), []).fillings[0].files
    linked = tmp_path / "elsewhere"
    linked.symlink_to(place)
    assert read_plan(linked / "suite.yaml", []).rows, "the folder itself may be reached by a link"


def test_metrics_of_one_name_are_told_apart_as_the_service_does(tmp_path: Path) -> None:
    metrics = ["latency", "latency"]
    file = folder(tmp_path, metrics=metrics, thresholds=[{"metric": "latency (2)", "fail_over": 5000}])
    assert read_plan(file, []).thresholds[0].metric == "latency (2)"


def test_a_threshold_of_the_command_line_must_name_a_target_that_there_is(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="there is no such target"):
        read_plan(folder(tmp_path), [Threshold(metric="mrr", fail_under=0.5, target=("bot",))])


def bomb(place: str) -> str:
    """A suite of ten lines that stand for a hundred million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    return "\n".join(["name: x", *lines, place])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb("targets: [{document_store: Notes, options: {filter: *a7}}]"), "its aliases written out"),
        ("name: x\ntargets: " + "[" * 5_000 + "]" * 5_000, "is nested too deeply"),
        ("name: x\ntargets: &a [*a]", "is nested too deeply, or holds itself"),
        ("name: x\ntargets: !!python/object/apply:os.system [id]", "not valid YAML"),
    ],
    ids=["bomb", "deep", "itself", "python"],
)
def test_files_that_are_made_to_exhaust_whoever_reads_them(tmp_path: Path, text: str, said: str) -> None:
    assert said in complaint(tmp_path, text)
