"""Reports on evaluations that were run."""

import re
from dataclasses import replace
from uuid import UUID, uuid4

import httpx

from service.datasets.types import Gold, GoldKind, RowDraft
from service.evaluations.types import Evaluation, MetricWish
from service.reports.page import policy
from service.reports.shown import run_of
from service.worker.runner import Runner
from tests.service.evaluations.lab import Lab, flow_target, store_target
from tests.service.reports.samples import ATTACK
from tests.service.reports.test_page import read

METRICS = [MetricWish("recall@4"), MetricWish("mrr@4"), MetricWish("latency")]


async def page(lab: Lab, evaluation: Evaluation, other: Evaluation | None = None) -> str:
    """The report over HTTP, read strictly."""
    params = {} if other is None else {"compare": str(other.id)}
    response = await lab.client.get(f"/api/v1/evaluations/{evaluation.id}/report", params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == f"{policy()}; frame-ancestors 'none'"
    return response.text


def text(html: str) -> str:
    """What a reader sees."""
    return " ".join("".join(read(html).text).split())


async def test_a_run_of_two_targets_is_told_and_compared(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf(), await lab.dataset(12)
    targets = (store_target(store, "all", topK=6), store_target(store, "one", topK=1))
    metrics = [*METRICS, MetricWish("tokenF1")]
    ended = await lab.end(await lab.make(dataset, *targets, metrics=metrics, repeats=2))
    html = await page(lab, ended)
    told = text(html)
    assert "Nightly, version 1 completed" in told
    assert '{"topK": 6}' in told
    assert "one against all" in told
    assert "48 of 48" in told
    assert "recall@4all" in told.replace("recall@4 all", "recall@4all")
    assert "p95" in told
    assert "Slowest rows" in told
    assert "hold what should be found" in told
    assert "Row 1" in told
    assert html.count("<svg") >= 8
    measures = re.findall(r"<th scope=\"rowgroup\"[^>]*>([^<]+)", html)
    assert [item.strip() for item in measures] == ["recall@4", "mrr@4", "latency", "tokenF1"]


async def test_two_runs_are_held_against_each_other(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf(), await lab.dataset(14)
    first = await lab.end(await lab.make(dataset, store_target(store, "k", topK=1), metrics=METRICS))
    second = await lab.end(await lab.make(dataset, store_target(store, "k", topK=6), metrics=METRICS))
    html = await page(lab, first, second)
    told = text(html)
    assert "Nightly, version 2 against Nightly, version 1" in told
    assert "B: k against A: k" in told
    assert "A: Nightly, version 1" in told
    again = text(await page(lab, first, first))
    assert "against" not in again.partition("What was run")[0]


async def test_errors_stand_beside_the_figures_with_their_reasons(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf("Leave"), await lab.dataset(3)
    broken = await lab.flow('{"nodes": [], "edges": []}')
    ended = await lab.end(
        await lab.make(dataset, store_target(store, "store"), flow_target(broken, "broken"), metrics=METRICS, retries=0)
    )
    assert ended.failed == 3
    told = text(await page(lab, ended))
    assert "3 failed" in told
    assert "Rows with errors" in told
    assert "How often each error came" in told
    assert "broken" in told.partition("How often each error came")[2]


async def test_what_people_wrote_stays_text(lab: Lab, worker: Runner) -> None:
    attack = ATTACK.replace("\x07", "")
    store = await lab.shelf("Leave")
    rows = [RowDraft(attack, attack, (Gold(GoldKind.QUOTE, attack),), {"x": attack})]
    dataset = await lab.dataset(rows, attack)
    targets = (store_target(store, attack[:100]), store_target(store, "plain"))
    ended = await lab.end(await lab.make(dataset, *targets, name=attack[:150], metrics=METRICS))
    found = read(await page(lab, ended))
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "img"})
    assert "".join(found.text).count("<script>document.title='owned'</script>") > 3


async def test_a_run_that_has_not_ended_says_so(lab: Lab) -> None:
    store, dataset = UUID(await lab.talk.store()), await lab.dataset(3)
    made = await lab.make(dataset, store_target(store), metrics=METRICS)
    told = text(await page(lab, made))
    assert "has not ended: 0 of 3 cases are done" in told
    assert "not measured" in told


async def test_secrets_of_overrides_are_hidden(lab: Lab) -> None:
    store, dataset = UUID(await lab.talk.store()), await lab.dataset(1)
    made = await lab.make(dataset, store_target(store), metrics=METRICS)
    key = "sk-very-secret"
    options = {
        "openAIApiKey": key,
        "vars": {"temperature": 0.2, "headers": {"authorization": key}},
        "url": f"https://example.org/x?token={key}",
        "list": [{"password": key}],
    }
    plan = replace(made.plan, targets=[replace(made.plan.targets[0], options=options)])
    told = run_of(replace(made, plan=plan), "").targets[0].options
    assert key not in told
    assert '"temperature": 0.2' in told
    assert told.count("***") == 4


async def test_what_is_not_there_or_cannot_be_compared_is_refused(lab: Lab, client: httpx.AsyncClient) -> None:
    store, dataset, other = UUID(await lab.talk.store()), await lab.dataset(1), await lab.dataset(1, "Others")
    made = await lab.make(dataset, store_target(store), metrics=METRICS)
    apart = await lab.make(other, store_target(store), metrics=METRICS, name="Apart")
    for path, code in (
        (f"{uuid4()}/report", 404),
        (f"{made.id}/report?compare={uuid4()}", 404),
        (f"{made.id}/report?compare=nothing", 422),
        (f"{made.id}/report?compare={apart.id}", 422),
    ):
        response = await client.get(f"/api/v1/evaluations/{path}")
        assert response.status_code == code, path
        assert response.json()["message"]
