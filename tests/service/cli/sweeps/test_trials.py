"""What a sweep file may hold, and which settings come of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.cli.exits import UsageProblem
from service.cli.suites.reading import read_as
from service.cli.sweeps.spec import Sweep
from service.cli.sweeps.trials import options, pipeline, plain, possible, trials_of

HEAD: dict[str, Any] = {"name": "Tuning", "dataset": "Questions", "target": {"document_store": "Handbook"}}


def sweep(settings: dict[str, Any], **more: Any) -> Sweep:
    """A sweep of these settings."""
    return Sweep.model_validate({**HEAD, "settings": settings, **more})


def tried(settings: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """What is tried, besides what is there now."""
    now, *others = trials_of(sweep(settings, **more)).trials
    assert (now.number, dict(now.settings)) == (0, {})
    assert [trial.number for trial in others] == list(range(1, len(others) + 1))
    return [dict(trial.settings) for trial in others]


def test_a_grid_is_all_combinations_in_the_order_of_the_settings() -> None:
    assert tried({"k": [3, 8], "chunk_size": [400, 800]}) == [
        {"chunk_size": 400, "k": 3},
        {"chunk_size": 400, "k": 8},
        {"chunk_size": 800, "k": 3},
        {"chunk_size": 800, "k": 8},
    ]
    assert tried({"k": 3}) == [{"k": 3}]


def test_null_is_what_is_there_now() -> None:
    assert tried({"chunk_size": [None, 400], "k": [None, 8]}) == [
        {"k": 8},
        {"chunk_size": 400},
        {"chunk_size": 400, "k": 8},
    ]


def test_settings_without_effect_make_no_trial_of_their_own() -> None:
    assert tried({"strategy": ["hybrid", "similarity"], "weight": [0.5, 1]}) == [
        {"strategy": "hybrid", "weight": 0.5},
        {"strategy": "hybrid", "weight": 1.0},
        {"strategy": "similarity"},
    ]
    assert tried({"threshold": [0.3], "retrieval": [None, [{"name": "similarity"}]]}) == [
        {"threshold": 0.3},
        {"retrieval": [{"name": "similarity"}]},
    ]
    assert tried({"retrieval": [{"name": "hybrid"}, {"name": "mmr"}]}) == [
        {"retrieval": [{"name": "hybrid"}, {"name": "mmr"}]}
    ]


def test_an_overlap_as_large_as_the_chunk_is_not_tried() -> None:
    chosen = trials_of(sweep({"chunk_size": [100, 400], "chunk_overlap": [0, 100]}))
    assert [dict(each.settings) for each in chosen.trials[1:]] == [
        {"chunk_size": 100, "chunk_overlap": 0},
        {"chunk_size": 400, "chunk_overlap": 0},
        {"chunk_size": 400, "chunk_overlap": 100},
    ]
    assert (chosen.combinations, chosen.impossible, chosen.sampled) == (4, 1, False)


def test_of_more_than_there_is_room_for_a_sample_is_tried() -> None:
    many = {"k": list(range(1, 90)), "chunk_size": list(range(100, 190)), "mmr": [x / 80 for x in range(80)]}
    chosen = trials_of(sweep(many, max_trials=10, seed=3))
    assert (len(chosen.trials), chosen.combinations, chosen.sampled) == (11, 89 * 90 * 80, True)
    again = trials_of(sweep(many, max_trials=10, seed=3))
    assert chosen.trials == again.trials
    assert trials_of(sweep(many, max_trials=10, seed=4)).trials != chosen.trials
    assert [t.settings for t in trials_of(sweep({"k": [1, 2, 3]}, sample="random", seed=1)).trials[1:]] != [
        {"k": 1},
        {"k": 2},
        {"k": 3},
    ]


def test_nothing_to_try_is_said() -> None:
    with pytest.raises(UsageProblem, match="no combination is another one"):
        trials_of(sweep({"k": [None]}))


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "chunk_size": st.sampled_from([None, 100, 200]),
        "chunk_overlap": st.sampled_from([None, 0, 150]),
        "k": st.sampled_from([None, 3]),
        "strategy": st.sampled_from([None, "hybrid", "similarity"]),
        "weight": st.sampled_from([None, 0.5]),
        "rerank": st.sampled_from([None, False, "cohere", {"provider": "jina", "model": "m"}]),
        "mmr": st.sampled_from([None, False, 0.5]),
        "threshold": st.sampled_from([None, False, 0.2, {"min_cosine": 0.3}]),
        "retrieval": st.sampled_from([None, [{"name": "similarity"}]]),
    },
)


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_settings_made_plain_do_the_same(chosen: dict[str, Any]) -> None:
    once = plain(chosen)
    assert plain(once) == once
    assert None not in once.values()
    assert possible(once) is not (
        once.get("chunk_size") is not None and (once.get("chunk_overlap") or 0) >= once["chunk_size"]
    )
    stages = pipeline(once)
    asked = options(once)
    assert asked.get("retrieval") == stages
    if stages is not None:
        from service.retrieval.pipeline import pipeline as read

        read(stages)  # what the service takes


def test_stages_are_made_of_settings() -> None:
    assert pipeline({"k": 3}) is None
    assert pipeline({"strategy": "hybrid", "weight": 0.5}) == [{"name": "hybrid", "weight": 0.5}]
    assert pipeline({"rerank": False}) == [{"name": "hybrid"}]
    assert pipeline(
        {"strategy": "similarity", "rerank": "cohere", "mmr": 0.7, "threshold": {"min_score": 0.1, "min_cosine": 0.2}}
    ) == [
        {"name": "similarity"},
        {"name": "rerank", "provider": "cohere"},
        {"name": "mmr", "lambda": 0.7},
        {"name": "threshold", "minScore": 0.1, "minCosine": 0.2},
    ]
    assert options({"k": 3, "threshold": 0.3}) == {
        "topK": 3,
        "retrieval": [{"name": "hybrid"}, {"name": "threshold", "minScore": 0.3}],
    }


def test_labels_fit_into_a_result() -> None:
    (trial,) = trials_of(
        sweep({"prompt": ["word " * 40], "inputs": {f"node.x{n}": "y" * 100 for n in range(9)}})
    ).trials[1:]
    assert trial.label.startswith("#1 prompt=word word")
    assert len(trial.label) <= 200
    assert trials_of(sweep({"k": 2})).trials[0].label == "#0 as it is now"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "must be a mapping with name, dataset, target, settings"),
        ("{name: a, dataset: b, target: {document_store: c}}", "settings: is missing"),
        ("{name: a, dataset: b, target: {document_store: c}, settings: {}}", "settings: name a setting to try"),
        ("{name: a, dataset: b, target: {document_store: c}, settings: {chunksize: 3}}", "did you mean chunk_size"),
        ("{name: a, dataset: b, target: {document_store: c}, settings: {k: [0]}}", "settings.k[0]"),
        ("{name: a, dataset: b, target: {document_store: c}, settings: {k: []}}", "settings.k"),
        (
            "{name: a, dataset: b, target: {document_store: c}, settings: {inputs: {x: 1}}}",
            "'x' is not like NODE.INPUT",
        ),
        ("{name: a, dataset: b, target: {}, settings: {k: 3}}", "target: give one of document_store"),
        ("{name: a, dataset: b, target: {flow: c}, settings: {k: 3}, holdout: 1}", "holdout"),
        ("{name: a, name: b}", "the key 'name' comes twice"),
    ],
)
def test_mistakes_of_a_file_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    with pytest.raises(UsageProblem) as told:
        read_as(Sweep, file)
    assert said in str(told.value)
    assert str(file) in str(told.value)


def test_what_is_taken_is_measured_in_any_case() -> None:
    assert [each.name for each in sweep({"k": 3}).measured()] == ["ndcg", "recall", "latency", "cost", "contextLength"]
    own = sweep({"k": 3}, metrics=["recall@3", "latency"])
    assert [each.name for each in own.measured()] == ["recall@3", "latency", "cost", "contextLength"]
    flow = Sweep.model_validate({**HEAD, "target": {"flow": "Assistant"}, "settings": {"k": 3}})
    assert flow.measured()[0].name == "tokenF1"
    assert flow.suite().targets[0].flow == "Assistant"


def test_the_example_of_the_readme_is_a_sweep() -> None:
    text = (Path(__file__).parents[4] / "README.md").read_text("utf-8")
    (example,) = [part.split("```")[0] for part in text.split("```yaml\n")[1:] if "\nsettings:" in part]
    assert trials_of(Sweep.model_validate(yaml.safe_load(example))).trials
