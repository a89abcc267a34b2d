"""Targets of evaluations, weighed over HTTP."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from service.evaluations.types import Evaluation, MetricWish
from tests.service.evaluations.lab import Lab, store_target

pytestmark = pytest.mark.usefixtures("worker")

METRICS = [MetricWish("recall@4"), MetricWish("latency"), MetricWish("cost"), MetricWish("contextLength")]


async def weighed(lab: Lab, evaluation: Evaluation | UUID, status: int = 200, **params: Any) -> dict[str, Any]:
    """What the service says of an evaluation's targets."""
    held = evaluation if isinstance(evaluation, UUID) else evaluation.id
    response = await lab.client.get(f"/api/v1/evaluations/{held}/front", params=params)
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_the_targets_of_evaluations_are_weighed(lab: Lab) -> None:
    store, rows = await lab.shelf(), await lab.dataset(12)
    one = await lab.make(
        rows,
        store_target(store, "few", topK=3, strategy="hybrid"),
        store_target(store, "many", topK=4, strategy="hybrid"),
        metrics=METRICS,
    )
    two = await lab.make(rows, store_target(store, "nothing", filter={"a": 1}), name="Other", metrics=METRICS)
    await lab.end(one)
    await lab.end(two)
    told = await weighed(lab, one, also=[str(two.id)], by="contextLength")
    assert [each["label"] for each in told["objectives"]] == ["recall@4", "contextLength"]
    assert (told["rows"], told["heldRows"], told["leftOut"]) == (12, 0, {})
    few, many, nothing = told["candidates"]
    assert (few["label"], few["evaluationId"], few["target"], few["cases"], few["errors"]) == (
        "few",
        str(one.id),
        0,
        12,
        0,
    )
    assert (nothing["evaluationId"], nothing["target"]) == (str(two.id), 0)
    assert few["figures"]["recall@4"]["value"] == many["figures"]["recall@4"]["value"] == 1
    assert 0 < few["figures"]["recall@4"]["low"] < 1 == few["figures"]["recall@4"]["high"]
    assert few["figures"]["contextLength"]["value"] < many["figures"]["contextLength"]["value"]
    assert [each["front"] for each in (few, many, nothing)] == [True, False, True]
    assert [each["ties"] for each in (few, many, nothing)] == [True, True, False]
    assert (told["best"], told["chosen"]) == (0, 0)
    assert (nothing["difference"]["value"], nothing["p"] < 0.05) == (-1, True)
    default = await weighed(lab, one)
    assert [each["label"] for each in default["objectives"]] == ["recall@4", "latency", "contextLength"]
    assert default["objectives"][1]["median"]
    assert default["leftOut"] == {"cost": "not measured"}


async def test_rows_are_held_back_from_the_choice(lab: Lab) -> None:
    store, rows = await lab.shelf(), await lab.dataset(12)
    made = await lab.make(rows, store_target(store), metrics=METRICS)
    await lab.end(made)
    told = await weighed(lab, made, holdout=0.25, seed=3)
    assert (told["rows"], told["heldRows"]) == (9, 3)
    assert told["candidates"][0]["held"]["value"] == 1
    assert (await weighed(lab, made))["candidates"][0]["held"] is None


async def test_what_cannot_be_weighed_is_said(lab: Lab) -> None:
    store, rows = await lab.shelf(), await lab.dataset(3)
    made = await lab.make(rows, store_target(store), metrics=METRICS)
    other = await lab.make(await lab.dataset(2, "Other"), store_target(store), name="Other", metrics=METRICS)
    await lab.end(made)
    assert "'bleu' is none of this evaluation's" in (await weighed(lab, made, 422, quality="bleu"))["message"]
    assert "is the quality" in (await weighed(lab, made, 422, quality="latency", by="latency"))["message"]
    assert "different datasets" in (await weighed(lab, made, 422, also=[str(other.id)]))["message"]
    assert "holdout" in (await weighed(lab, made, 422, holdout=1))["message"]
    await weighed(lab, uuid4(), 404)
    await weighed(lab, made, 404, also=[str(uuid4())])
