"""What a caller wants, as the plan that an evaluation is run by. What can be checked before is checked here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from service.chatflows import service as chatflows
from service.credentials import service as credentials
from service.document_stores import service as document_stores
from service.errors import Unprocessable
from service.evaluations.judging import check_judge
from service.evaluations.searching import read_options
from service.evaluations.types import (
    Judge,
    Measure,
    MetricWish,
    Plan,
    Target,
    TargetKind,
    TargetWish,
    Wish,
)
from service.evaluators import service as evaluators
from service.evaluators.types import Evaluator
from service.metrics import EVALUATORS
from service.metrics.base import Metric
from service.metrics.making import metric
from service.resources import Resources

MAX_NAME = 200
MAX_TARGETS = 20
MAX_REPEATS = 20
MAX_RETRIES = 10
MAX_MEASURES = 50
MAX_OPTIONS = 64 * 1024
"""Characters of a target's options, as JSON; of the judge's inputs too."""

DEFAULT_METRICS = (
    MetricWish("recall"),
    MetricWish("mrr"),
    MetricWish("ndcg"),
    MetricWish("sourceHit"),
    MetricWish("tokenF1"),
    MetricWish("latency"),
    MetricWish("firstToken"),
    MetricWish("tokens"),
    MetricWish("cost"),
)
"""What is measured where nobody says: all of it is had without a model, and next to nothing of it costs time."""


async def planned(resources: Resources, workspace: UUID, wish: Wish) -> Plan:
    """The plan. Raises `NotFound` for what is named and does not exist, `Unprocessable` that names the field."""
    check_name(wish.name)
    _check_number("repeats", wish.repeats, 1, MAX_REPEATS)
    _check_number("retries", wish.retries, 0, MAX_RETRIES)
    if wish.concurrency is not None:
        _check_number("concurrency", wish.concurrency, 1, resources.settings.evaluation_concurrency)
    if not 1 <= len(wish.targets) <= MAX_TARGETS:
        raise Unprocessable(f"targets: an evaluation has 1 to {MAX_TARGETS}, not {len(wish.targets)}")
    targets = [await target_of(resources, workspace, item) for item in wish.targets]
    held = await evaluators.named(resources.database, workspace, list(dict.fromkeys(wish.evaluators)))
    measures, asks = measures_of(DEFAULT_METRICS if wish.metrics is None else wish.metrics, held)
    judge = wish.judge or (Judge() if asks and resources.own_chat else None)
    if asks and judge is None:
        raise Unprocessable(
            f"judge: {', '.join(asks)}: need a chat model; name one, or have the operator set RAGSTONE_CHAT_MODEL"
        )
    if judge is not None:
        _check_size("judge.inputs", judge.inputs)
        await _check_credential(resources, workspace, judge.credential)
        check_judge(resources, judge)
    return Plan(
        targets=_labelled(targets),
        measures=measures,
        repeats=wish.repeats,
        concurrency=wish.concurrency,
        retries=wish.retries,
        conversation=wish.conversation,
        judge=judge,
    )


async def _check_credential(resources: Resources, workspace: UUID, named: str) -> None:
    """Raises `NotFound` for a credential that the workspace lacks, `Unprocessable` for what is no id of one."""
    if not named:
        return
    try:
        credential = UUID(named)
    except ValueError:
        raise Unprocessable(f"credentialId: '{named[:40]}' is no id") from None
    await credentials.get(resources.database, resources.keyring, workspace, credential)


def check_name(name: str) -> None:
    """Raises `Unprocessable` for a name that is empty or too long."""
    if not name.strip() or len(name) > MAX_NAME or "\0" in name:
        raise Unprocessable(f"name: must have 1 to {MAX_NAME} characters")


async def target_of(resources: Resources, workspace: UUID, wish: TargetWish) -> Target:
    """The target as it is now. Raises `NotFound`, `Unprocessable`."""
    _check_size("options", wish.options)
    if wish.kind is TargetKind.CHATFLOW:
        flow = await chatflows.get(resources.database, workspace, wish.id)
        name, kind, updated = flow.name, flow.type.value, flow.updated_at
    else:
        store = await document_stores.get(resources, workspace, wish.id)
        read_options(wish.options)
        name, kind, updated = store.name, "", store.updated_at
    if len(wish.label) > MAX_NAME:
        raise Unprocessable(f"label: must have at most {MAX_NAME} characters")
    return Target(wish.kind, wish.id, wish.label or name, wish.options, name=name, type=kind, updated_at=updated)


def _labelled(targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets with labels that tell them apart."""
    labels = _told_apart(item.label for item in targets)
    return tuple(
        Target(item.kind, item.id, label, item.options, name=item.name, type=item.type, updated_at=item.updated_at)
        for item, label in zip(targets, labels, strict=True)
    )


def _told_apart(labels: Iterable[str]) -> list[str]:
    """Labels in which those that were there before have a number behind."""
    told: dict[str, None] = {}
    for label in labels:
        found, number = label, 1
        while found in told:
            number += 1
            found = f"{label} ({number})"
        told[found] = None
    return list(told)


def measures_of(wishes: Sequence[MetricWish], held: Sequence[Evaluator]) -> tuple[tuple[Measure, ...], list[str]]:
    """The measures of metrics and evaluators, and the labels of those that ask a model. Raises `UnknownName`,
    `Unprocessable` that names the option."""
    if len(wishes) + len(held) > MAX_MEASURES:
        raise Unprocessable(f"metrics: an evaluation has at most {MAX_MEASURES}, evaluators included")
    made = [(metric(item.name, item.options), item.name.partition("@")[0], item.options) for item in wishes]
    graded = [(metric(EVALUATORS[item.type], item.config), EVALUATORS[item.type], item.config) for item in held]
    labels = _told_apart([*(item[0].label for item in made), *(item.name for item in held)])
    measures = [
        measure(label, known, name, known.options.model_dump(mode="json", by_alias=True), of)
        for label, (known, name, _), of in zip(labels, [*made, *graded], [*(None for _ in made), *held], strict=True)
    ]
    asks = [label for label, (known, _, _) in zip(labels, [*made, *graded], strict=True) if known.needs_model]
    return tuple(measures), asks


def measure(label: str, known: Metric, name: str, options: Mapping[str, Any], of: Evaluator | None) -> Measure:
    """The measure of a metric, or of an evaluator that it grades for."""
    return Measure(
        label=label,
        metric=name,
        options=options,
        evaluator=of.id if of else None,
        evaluator_type=of.type if of else None,
        better=known.better,
        low=known.low,
        high=known.high,
        unit=known.unit,
        quantiles=known.quantiles,
    )


def _check_number(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Unprocessable(f"{field}: must be a whole number from {least} to {most}, not {value}")


def _check_size(field: str, value: Mapping[str, Any]) -> None:
    try:
        size = len(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise Unprocessable(f"{field}: is no JSON: {error}") from None
    if size > MAX_OPTIONS:
        raise Unprocessable(f"{field}: has {size} characters as JSON, the limit is {MAX_OPTIONS}")
