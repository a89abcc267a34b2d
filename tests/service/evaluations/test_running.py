"""Evaluations run as jobs: rows, targets and repeats, each case once, each with its scores."""

from service.datasets.types import Gold, GoldKind, RowDraft
from service.evaluations import service
from service.evaluations.types import EvaluationState, MetricWish
from service.worker.runner import Runner
from tests.service.evaluations.lab import Lab, flow_target, store_target
from tests.stubs.openai_server import OpenAIStub, Script


async def test_document_stores_are_asked_for_passages_alone(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf(), await lab.dataset(6)
    made = await lab.make(dataset, store_target(store, topK=6), repeats=2)
    assert (made.rows, made.total, made.version) == (6, 12, 1)
    ended = await lab.end(made)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, 12, 0)
    results = await lab.results(ended)
    assert [(item.place, item.repeat) for item in results] == [(row, turn) for row in range(6) for turn in range(2)]
    for item in results:
        assert item.answer is None
        assert item.found is not None
        assert len(item.found) == 6
        assert item.found[0].chunk_id
        assert item.found[0].document_id
        assert "handbook.txt" in item.found[0].sources
        assert list(item.scores) == ["recall@4", "mrr@4"]
        assert item.taken.latency is not None
    summary = await service.summary(lab.resources.database, lab.workspace, ended.id)
    assert summary.complete
    (target,) = summary.targets
    assert target.cases == 12
    assert target.measures["recall@4"].rows == 6
    assert target.measures["recall@4"].scores == 12


async def test_flows_are_asked_as_by_internal_predictions(lab: Lab, worker: Runner, stub: OpenAIStub) -> None:
    stub.script(Script(reply="Leave stands here. [1]", token_delay=0.001), times=None)
    store = await lab.shelf("Leave", "Pension")
    flow = await lab.writing(store, stub.url)
    dataset = await lab.dataset(
        [RowDraft("What of Leave?", "Leave stands here.", (Gold(GoldKind.SOURCE, "handbook.txt"),))]
    )
    metrics = [
        MetricWish(name) for name in ("recall", "tokenF1", "firstToken", "latency", "tokens", "semanticSimilarity")
    ]
    ended = await lab.end(await lab.make(dataset, flow_target(flow), metrics=metrics))
    assert ended.state is EvaluationState.COMPLETED
    (result,) = await lab.results(ended)
    assert result.error == ""
    assert result.answer == "Leave stands here. [1]"
    assert result.details["cited"] == [1]
    assert result.details["models"]
    assert result.found is not None
    assert {item.document_id for item in result.found} != {""}
    assert {label: score.error for label, score in result.scores.items()} == dict.fromkeys(result.scores, "")
    assert result.scores["tokenF1"].value == 1.0
    taken = result.taken
    assert None not in (taken.latency, taken.model, taken.chain, taken.input_tokens, taken.output_tokens)
    assert 0 < (taken.first_token or 0) < (taken.latency or 0)
    rows = await lab.talk.rows("SELECT count(*) AS n FROM chat_messages")
    assert rows[0]["n"] == 0
