"""Brings a suite to a service: document stores filled, rows and flows in, evaluators there. What is there is used.

A document store or dataset that a suite made says so in its description, and is kept in step with the files: what is
not in them goes. One of the same name that somebody else made is never touched.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.cli.bar import counted
from service.cli.client import Client
from service.cli.exits import CommandError, Rejected, UsageProblem
from service.cli.flows import ensure_flow
from service.cli.output import plain, say
from service.cli.suites.plan import Filling, Plan, asked, store_names
from service.cli.suites.rows import Row
from service.cli.suites.suite import Evaluator, Target
from service.cli.uploads import upload

MADE = "Kept by `ragstone eval run`"
CATEGORY = "Evaluation suite"
"""The category of chatflows that suites bring."""
PAGE = 1000
"""Rows of a dataset, or documents, in one request."""

Remark = Callable[[str], None]


@dataclass(slots=True)
class Prepared:
    """What an evaluation is asked with."""

    dataset_id: str
    dataset_name: str
    targets: list[dict[str, Any]]
    evaluators: list[Mapping[str, Any]]
    remarks: list[str] = field(default_factory=list)
    """What was done, a line each."""


def prepare(client: Client, plan: Plan, *, show: bool) -> Prepared:
    """Make ready what the suite names; `show` draws progress. Raises `UsageProblem` for what the service does not have,
    `CommandError` for a document that cannot be read."""
    remarks: list[str] = []

    def remark(text: str) -> None:
        remarks.append(text)
        if show:
            say(text)

    # What is missing, or is somebody else's, is told before anything is written.
    own = {item.wish.name: _own_store(client, plan, item.wish.name) for item in plan.fillings}
    others = {name: _store(client, plan, name, own) for name in store_names(plan.suite.targets) if name not in own}
    rows = _known_dataset(client, plan)
    flows = [_known_flow(client, plan, place, target) for place, target in enumerate(plan.suite.targets)]
    known = [_known_evaluator(client, plan, place, wish) for place, wish in enumerate(plan.suite.evaluators)]

    stores = {
        item.wish.name: _filled(client, plan, item, own[item.wish.name], remark, show=show) for item in plan.fillings
    }
    stores |= others
    dataset = _dataset(client, plan, rows, remark)
    targets = []
    for place, (target, kept) in enumerate(zip(plan.suite.targets, flows, strict=True)):
        store = stores[target.document_store] if target.document_store is not None else None
        flow = None if store is not None else kept or _flow(client, plan, f"targets[{place}]", target, stores, remark)
        targets.append(asked(target, store, flow))
    evaluators = [
        kept or _evaluator(client, plan, place, wish)
        for place, (wish, kept) in enumerate(zip(plan.suite.evaluators, known, strict=True))
    ]
    return Prepared(str(dataset["id"]), str(dataset["name"]), targets, evaluators, remarks)


# Document stores


def _own_store(client: Client, plan: Plan, name: str) -> Mapping[str, Any] | None:
    """The document store of this name, which a suite made; None: there is none yet."""
    found = client.store(name)
    if found is not None and not str(found["description"] or "").startswith(MADE):
        raise UsageProblem(
            f"{plan.file}: document_stores: the service has a document store {name!r} that no suite made, and it is"
            " left as it is: choose another name, or leave it out here to evaluate it"
        )
    return found


def _store(client: Client, plan: Plan, name: str, own: Iterable[str]) -> str:
    """The id of a document store that the suite does not fill."""
    found = client.store(name)
    if found is None:
        filled = ", ".join(own)
        known = f"; this suite fills {filled}" if filled else ""
        raise UsageProblem(f"{plan.file}: targets: there is no document store {name!r}{known}")
    return str(found["id"])


def _filled(
    client: Client, plan: Plan, filling: Filling, found: Mapping[str, Any] | None, remark: Remark, *, show: bool
) -> str:
    """The id of the document store, with just these files in it; `found`: as `_own_store` found it."""
    name = filling.wish.name
    mark = f"{MADE} for the suite {plan.suite.name}: files {filling.content}, settings {filling.settings}"
    if found is not None:
        if found["description"] == mark and _holds(client, str(found["id"]), {file for file, _ in filling.files}):
            remark(f"Document store {name}: as it was.")
            return str(found["id"])
        if f"settings {filling.settings}" not in found["description"]:
            client.send("DELETE", f"/document-store/store/{found['id']}")
            remark(f"Document store {name}: its settings are others now, so that it is made anew.")
            found = None
    if found is None:
        found = client.post("/document-store/store", {"name": name, "description": f"{MADE}: not filled yet"})
    title = f"Document store {plain(name)}: "
    report = upload(client, str(found["id"]), filling.files, show=show, fields=_settings(filling), title=title)
    if report.failed:
        shown = "; ".join(f"{file}: {why}" for file, why in report.failed[:5])
        raise CommandError(f"{len(report.failed)} of {report.files} documents of {name} cannot be taken: {shown}")
    gone = _without_others(client, filling, str(found["id"]), show=show)
    client.put(f"/document-store/store/{found['id']}", {"description": mark})
    remark(f"Document store {name}: {report.summary()}" + (f", {gone} documents gone." if gone else "."))
    return str(found["id"])


def _settings(filling: Filling) -> dict[str, str]:
    parts = {
        "splitter": filling.wish.splitter,
        "embedding": filling.wish.embedding,
        "vectorStore": filling.wish.vector_store,
    }
    return {name: part.model_dump_json() for name, part in parts.items() if part is not None}


def _holds(client: Client, store_id: str, names: set[str]) -> bool:
    """Whether it holds just these documents, none of them half done."""
    documents = _documents(client, store_id)
    return {item["name"] for item in documents} == names and all(item["state"] == "ready" for item in documents)


def _without_others(client: Client, filling: Filling, store_id: str, *, show: bool) -> int:
    """Remove the documents that are not among the files; how many there were."""
    names = {file for file, _ in filling.files}
    gone = [item for item in _documents(client, store_id) if item["name"] not in names]
    for document in counted(gone, f"Document store {filling.wish.name}: removing documents", show=show):
        client.send("DELETE", f"/document-store/documents/{store_id}/{document['id']}")
    return len(gone)


def _documents(client: Client, store_id: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    while len(found) % PAGE == 0:
        page = client.get(f"/document-store/documents/{store_id}", page=len(found) // PAGE + 1, limit=PAGE)
        if not page:
            break
        found += page
    return found


# The dataset


def _known_dataset(client: Client, plan: Plan) -> Mapping[str, Any] | None:
    """The dataset that the suite names; None: there is none yet, and the suite brings its rows."""
    name = _dataset_name(plan)
    found = client.dataset(name)
    if plan.rows is None:
        if found is None:
            raise UsageProblem(f"{plan.file}: dataset.name: there is no dataset {name!r}; with `file` its rows come in")
        return found
    if found is not None and not str(found["description"] or "").startswith(MADE):
        raise UsageProblem(
            f"{plan.file}: dataset.name: the service has a dataset {name!r} that no suite made, and it is left as it"
            " is: choose another name, or leave `file` out to evaluate it"
        )
    return found


def _dataset_name(plan: Plan) -> str:
    return plan.suite.dataset.name or plan.suite.name


def _dataset(client: Client, plan: Plan, found: Mapping[str, Any] | None, remark: Remark) -> Mapping[str, Any]:
    """The dataset with the suite's rows, if it brings some; `found`: as `_known_dataset` found it."""
    name = _dataset_name(plan)
    if plan.rows is None:
        assert found is not None, "one that is not there was refused"
        return found
    if found is None:
        made = f"{MADE} from {plan.suite.dataset.file}"
        found = client.post("/datasets/set", {"name": name, "description": made})
        _import(client, str(found["id"]), plan.rows)
        remark(f"Dataset {name}: {len(plan.rows)} rows.")
    elif _kept_in_step(client, str(found["id"]), plan.rows):
        remark(f"Dataset {name}: {len(plan.rows)} rows, brought up to date.")
    else:
        remark(f"Dataset {name}: {len(plan.rows)} rows, as it was.")
    return found


def _import(client: Client, dataset_id: str, rows: Sequence[Row]) -> None:
    for start in range(0, len(rows), PAGE):
        client.post(f"/datasets/set/{dataset_id}/import", {"rows": rows[start : start + PAGE]})


def _kept_in_step(client: Client, dataset_id: str, wanted: Sequence[Row]) -> bool:
    """Make a dataset hold just these rows, in this order; rows that stay keep their ids. Whether anything changed."""
    before = list(_rows(client, dataset_id))
    texts = [_content(row) for row in wanted]
    if [_content(row) for row in before] == texts:
        return False
    held: dict[str, list[str]] = {}
    for row in before:
        held.setdefault(_content(row), []).append(row["id"])
    new = []
    for row, text in zip(wanted, texts, strict=True):
        if held.get(text):
            held[text].pop(0)
        else:
            new.append(row)
    gone = [row_id for ids in held.values() for row_id in ids]
    if gone:
        client.send("PATCH", "/datasets/rows", json={"ids": gone})
    _import(client, dataset_id, new)
    after: dict[str, list[str]] = {}
    for row in _rows(client, dataset_id):
        after.setdefault(_content(row), []).append(row["id"])
    order = [{"id": after[text].pop(0), "sequenceNo": place} for place, text in enumerate(texts)]
    client.post("/datasets/reorder", {"datasetId": dataset_id, "rows": order})
    return True


def _rows(client: Client, dataset_id: str) -> Iterator[Mapping[str, Any]]:
    page = 1
    while True:
        found = client.get(f"/datasets/set/{dataset_id}", page=page, limit=PAGE)["rows"]
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def _content(row: Mapping[str, Any]) -> str:
    """All that a row says, as one text."""
    return json.dumps([row[name] for name in ("input", "output", "sources", "metadata", "draft")], sort_keys=True)


# Flows and evaluators


def _known_flow(client: Client, plan: Plan, place: int, target: Target) -> str | None:
    """The id of the chatflow that a target names; None: it names none."""
    if target.flow is None:
        return None
    found = client.chatflow(target.flow)
    if found is None:
        raise UsageProblem(f"{plan.file}: targets[{place}].flow: there is no chatflow {target.flow!r}")
    return str(found["id"])


def _flow(client: Client, plan: Plan, where: str, target: Target, stores: Mapping[str, str], remark: Remark) -> str:
    """The id of the chatflow that a target asks, which the suite brings."""
    store = stores.get(target.answers_from) if target.answers_from is not None else None
    name = f"{plan.suite.name}: {target.name}"
    if target.flow_file is None:
        assert store is not None
        return str(ensure_flow(client, name, store)["id"])
    exported = plan.flows[target.name]
    flow_data = (
        exported.flow_data if store is None else reading_from(exported.flow_data, store, target.answers_from or "")
    )
    body = {**exported.columns, "type": exported.type.value, "flowData": flow_data, "category": CATEGORY}
    found = next(
        (flow for flow in client.get("/chatflows") if flow["name"] == name and flow["category"] == CATEGORY), None
    )
    try:
        if found is None:
            found = client.post("/chatflows", {**body, "name": name})
        elif json.loads(found["flowData"]) != json.loads(flow_data):
            found = client.put(f"/chatflows/{found['id']}", body)
            remark(f"Chatflow {name}: brought up to date.")
    except Rejected as error:
        raise UsageProblem(f"{plan.file}: {where}.flow_file: {error}") from None
    return str(found["id"])


def reading_from(flow_data: str, store_id: str, name: str) -> str:
    """A flow whose nodes read from this document store, in place of those that they name."""
    instead = {"selectedStore": store_id, "documentStore": f"{store_id}:{name}"}

    def changed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: changed(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [changed(item) for item in value]
        return instead[key] if key in instead and isinstance(value, str) and value else value

    data = json.loads(flow_data)
    for node in data.get("nodes", ()):
        inputs = node.get("data", {}).get("inputs")
        if isinstance(inputs, dict):
            node["data"]["inputs"] = changed(inputs)
    return json.dumps(data)


def _known_evaluator(client: Client, plan: Plan, place: int, wish: Evaluator) -> Mapping[str, Any] | None:
    """The evaluator that the suite names; None: the suite says what it is."""
    if wish.type is not None:
        return None
    found = _named(client.get("/evaluators"), wish.name)
    if found is None:
        raise UsageProblem(
            f"{plan.file}: evaluators[{place}]: there is no evaluator {wish.name!r}; say its type and fields to make it"
        )
    return found


def _evaluator(client: Client, plan: Plan, place: int, wish: Evaluator) -> Mapping[str, Any]:
    """A kept evaluator that says what the suite says; made where there is none."""
    kept: list[Mapping[str, Any]] = client.get("/evaluators")
    where = f"{plan.file}: evaluators[{place}]"
    body = {
        to: value
        for name, to in (
            ("name", "name"),
            ("type", "type"),
            ("operator", "operator"),
            ("value", "value"),
            ("measure", "measure"),
            ("prompt", "prompt"),
            ("output_schema", "outputSchema"),
        )
        if (value := getattr(wish, name)) is not None
    }
    for each in kept:
        if all(_same(each.get(name), value) for name, value in body.items()):
            return each
    try:
        made: Mapping[str, Any] = client.post("/evaluators", body)
    except Rejected as error:
        raise UsageProblem(f"{where}: {error}") from None
    return made


def _same(kept: Any, wished: Any) -> bool:
    return kept == wished or (not isinstance(wished, list) and str(kept) == str(wished))


def _named(rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if name in (row["name"], row["id"])), None)
