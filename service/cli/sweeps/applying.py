"""Sets the settings of a trial for good: shows what changes, and does it through the routes that everybody uses.

Documents are cut anew document by document, and answer by their former chunks until their new ones are there; texts
that a copy has embedded are not embedded again while the copy is there. Another embedding is made beside the one that
answers, and takes its place once it is whole.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.cli.client import Client
from service.cli.exits import CommandError, UsageProblem
from service.cli.output import say
from service.cli.sweeps import flows, trials, variants
from service.cli.sweeps.running import Subject
from service.cli.sweeps.trials import Trial
from service.cli.uploads import follow

DEFAULT_VECTOR_STORE = "pgvector"
LONGEST = 300


@dataclass(frozen=True, slots=True)
class Change:
    """A setting of a document store or flow, as it is and as it will be."""

    where: str
    what: str
    now: str
    then: str


@dataclass(slots=True)
class Step:
    """A call that makes changes, and the jobs to wait for."""

    told: str
    method: str
    path: str
    body: Mapping[str, Any]
    is_job: bool = field(default=False)


@dataclass(frozen=True, slots=True)
class Application:
    """What a trial changes for good, and how."""

    changes: Sequence[Change]
    steps: Sequence[Step]


def application(subject: Subject, trial: Trial) -> Application:
    """What to do so that the subject has a trial's settings. Raises `UsageProblem` for such that it cannot keep."""
    changes: list[Change] = []
    steps: list[Step] = []
    if subject.store is not None and trial.index:
        _cut(subject.store, trial, changes, steps)
    if subject.flow is not None:
        _flow(subject.flow, trial, changes, steps)
    elif subject.store is not None and trial.query:
        _query(subject.store, trial, changes, steps)
    return Application([each for each in changes if each.now != each.then], steps)


def done(client: Client, wanted: Application, *, show: bool) -> None:
    """Make the changes, one after another. Raises `CommandError` for one that fails; those before it stay."""
    for step in wanted.steps:
        if show:
            say(f"{step.told} …")
        headers = {"Prefer": "respond-async"} if step.is_job else {}
        answer = client.send(step.method, step.path, json=dict(step.body), headers=headers).json()
        for job in (answer if isinstance(answer, list) else [answer]) if step.is_job else []:
            ended = follow(client, f"/jobs/{job['id']}")
            if ended["state"] != "done":
                reason = (ended["error"] or {}).get("message") or f"its job is {ended['state']}"
                raise CommandError(f"{step.told}: {reason}")


def _cut(store: Mapping[str, Any], trial: Trial, changes: list[Change], steps: list[Step]) -> None:
    body = variants.variant(store, trial.index)
    where = f"document store {store['name']}"
    if "embedding" in body:
        held, wanted = store["embeddingConfig"], body["embedding"]
        changes.append(Change(where, "embedding", _told(held), _told(wanted)))
        steps.append(
            Step(
                f"Embedding {store['name']} by {wanted['name']}",
                "POST",
                "/document-store/vectorstore/reindex",
                {
                    "storeId": store["id"],
                    "embeddingName": wanted["name"],
                    "embeddingConfig": wanted.get("config", {}),
                },
                is_job=True,
            )
        )
    if "splitter" in body:
        loaders = [each for each in store["loaders"] if each["loaderId"] != variants.OWN_CHUNKS and each["files"]]
        for each in loaders:
            held = {"name": each["splitterId"], "config": each["splitterConfig"]} if each["splitterId"] else None
            changes.append(Change(where, f"splitter of {each['loaderName']}", _told(held), _told(body["splitter"])))
        items = [{"docId": each["id"], "splitter": body["splitter"]} for each in loaders]
        if items:
            path = f"/document-store/refresh/{store['id']}"
            steps.append(Step(f"Cutting the documents of {store['name']}", "POST", path, {"items": items}, is_job=True))


def _query(store: Mapping[str, Any], trial: Trial, changes: list[Change], steps: list[Step]) -> None:
    held = store["vectorStoreConfig"] or {"name": DEFAULT_VECTOR_STORE, "config": {}}
    config = dict(held.get("config") or {})
    wanted = trials.options(trial.query)
    for name, value in wanted.items():
        changes.append(Change(f"document store {store['name']}", name, _told(config.get(name)), _told(value)))
    body = {"vectorStoreConfig": json.dumps({"name": held["name"], "config": {**config, **wanted}})}
    path = f"/document-store/store/{store['id']}"
    steps.append(Step(f"Setting how {store['name']} is searched", "PUT", path, body))


def _flow(flow: Mapping[str, Any], trial: Trial, changes: list[Change], steps: list[Step]) -> None:
    if not trial.query and not trial.flow:
        return
    data = flows.applied(flow, trial)
    changes += _differences(flow, data)
    steps.append(Step(f"Changing the flow {flow['name']}", "PUT", f"/chatflows/{flow['id']}", {"flowData": data}))


def _differences(flow: Mapping[str, Any], data: str) -> Iterator[Change]:
    before = {node["id"]: node["data"].get("inputs") or {} for node in json.loads(flow["flowData"])["nodes"]}
    for node in json.loads(data)["nodes"]:
        held = before.get(node["id"], {})
        for name, value in (node["data"].get("inputs") or {}).items():
            if held.get(name) != value:
                yield Change(f"flow {flow['name']}", f"{node['id']}.{name}", _told(held.get(name)), _told(value))


def _told(value: Any) -> str:
    """A value for a table; what is not set is the service's own choice."""
    if value is None or value == "":
        return "default"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def found(chosen: Sequence[Trial], wanted: str, suggested: Trial | None) -> Trial:
    """The trial that somebody named by its number, or as `chosen`. Raises `UsageProblem`."""
    if wanted == "chosen":
        if suggested is None:
            raise UsageProblem("--apply chosen: none is suggested, as nothing could be measured")
        return suggested
    for trial in chosen:
        if wanted.lstrip("#") == str(trial.number):
            return trial
    raise UsageProblem(f"there is no trial {wanted!r}: give a number from 0 to {len(chosen) - 1}, or `chosen`")
