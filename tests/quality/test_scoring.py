"""The metrics against values worked out by hand, and the reading of a set."""

import json
from pathlib import Path

import pytest

from tests.quality.__main__ import page, rows
from tests.quality.run import Figure
from tests.quality.scoring import answered, covered, distinct, ndcg, recall
from tests.quality.sets import RULES, Kind, data_sets


def test_gain_is_discounted_by_rank_and_set_against_the_ideal_order() -> None:
    assert ndcg(["a", "b"], {"a": 1, "b": 1}) == 1
    assert ndcg(["x", "a"], {"a": 1}) == pytest.approx(0.6309, abs=1e-4)
    assert ndcg(["x"] * 10 + ["a"], {"a": 1}) == 0
    assert ndcg(["b", "a"], {"a": 2, "b": 1}) == pytest.approx(0.8597, abs=1e-4)
    assert recall(["a", "x", "x", "x", "x", "b"], {"a": 1, "b": 1}) == 0.5
    assert distinct(["b", "a", "b"]) == ["b", "a"]


def test_answers_count_whatever_their_case_and_blanks() -> None:
    assert answered(["The  gate\nopens at SEVEN."], ["opens at seven"])
    assert not answered(["one", "two"], ["one", "three"], every=True)
    assert answered(["one", "two"], ["one", "two"], every=True)
    assert covered([(0, 10), (5, 15)], [(8, 12), (20, 24)]) == (0.5, 0.2)
    assert covered([], [(0, 1)]) == (0, 0)


def test_a_set_is_read_with_the_questions_that_have_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(json.dumps({"_id": "d/1", "title": "Gate", "text": "It opens at seven."}))
    rows = [{"_id": "q1", "text": "When?"}, {"_id": "q2", "text": "Why?"}]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td/1\t1\nq2\td/1\t0\n")
    (found,) = data_sets(tmp_path)
    assert (found.name, found.kind) == ("tiny", Kind.PASSAGES)
    assert found.files == {"d/1": ("000000.txt", b"Gate\n\nIt opens at seven.")}
    assert [(item.id, dict(item.relevant)) for item in found.questions] == [("q1", {"d/1": 1.0})]
    assert list(data_sets(tmp_path, ["other"])) == []


def test_a_figure_passes_near_the_best_one() -> None:
    assert Figure("s", "m", 0.8955, 0.9, 1).passed
    assert Figure("s", "m", 0.8945, 0.9, 1).passed is False
    assert Figure("s", "m", 0.1, None, 1).passed is None


def test_the_page_keeps_the_rows_of_sets_that_were_not_measured() -> None:
    first = page(rows([Figure("b", "nDCG@10", 0.5, None, 9), Figure("a", "recall@5", 0.25, 0.2, 9)]))
    assert first.index("| a | 9 | recall@5 | 0.2500 | 0.200 | +0.0500 | pass |") < first.index("| b | 9 |")
    second = page(rows([Figure("b", "nDCG@10", 0.75, None, 9)]), first)
    assert "| b | 9 | nDCG@10 | 0.7500 |" in second
    assert "0.5000" not in second
    assert "| a | 9 | recall@5 | 0.2500 |" in second
    assert "Mean nDCG@10" not in second
    assert "(pass)" in page(rows([Figure(name, "nDCG@10", 0.99, None, 1) for name in RULES]))
