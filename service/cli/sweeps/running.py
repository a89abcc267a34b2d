"""Has a service try the settings of a sweep: copies made, evaluations run, copies removed.

Settings of cutting and embedding are tried on copies of the document store, those of a flow on copies of the flow; the
originals are never touched. Everything is named after the sweep and a digest of what it tries, so that a run which was
killed is taken up by the next one of the same file: evaluations that ended are read, open ones are followed, copies
that are there are used. What is left of it goes with the end of a run, also of one that is interrupted; document stores
that nobody removed are deleted by the service when their hours are over, flows by the next sweep.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from service.cli.client import Client
from service.cli.exits import CommandError, Rejected, UsageProblem
from service.cli.output import say
from service.cli.suites.plan import Plan
from service.cli.suites.preparing import Prepared
from service.cli.suites.running import OPEN, follow, start
from service.cli.sweeps import flows, trials, variants
from service.cli.sweeps.spec import Sweep
from service.cli.sweeps.trials import Chosen, Trial
from service.cli.uploads import follow as follow_job

CATEGORY = "Sweep"
"""The category of chatflows that a sweep makes."""
_NAMED = re.compile(r"Sweep [0-9a-f]{8} #\d+: ")
TARGETS = 20
"""Targets of one evaluation, at most."""
LOOK_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Subject:
    """What the settings are tried on: a flow with the document store that it reads, or a document store alone."""

    flow: Mapping[str, Any] | None
    store: Mapping[str, Any] | None
    options: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Of the flow, else of the document store."""
        return str((self.flow or self.store or {})["id"])

    @property
    def name(self) -> str:
        """Of the flow, else of the document store."""
        return str((self.flow or self.store or {})["name"])


@dataclass(slots=True)
class Run:
    """One run of a sweep."""

    client: Client
    plan: Plan
    sweep: Sweep
    chosen: Chosen
    prepared: Prepared
    subject: Subject
    show: bool
    copies: dict[str, str] = field(default_factory=dict)
    """The ids of copied document stores, by what they have otherwise."""
    made: list[str] = field(default_factory=list)
    """The paths of what is to be removed."""

    @property
    def digest(self) -> str:
        """What tells this sweep from others: what is tried, on what, over what."""
        parts = [
            self.subject.id,
            dict(self.subject.options),
            self.prepared.dataset_id,
            [dict(trial.settings) for trial in self.chosen.trials],
            [metric.model_dump() for metric in self.sweep.measured()],
            self.sweep.repeats,
        ]
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def title(self) -> str:
        """How its evaluations are called."""
        return f"{self.sweep.name[:150]} sweep {self.digest}"

    def say(self, text: str) -> None:
        """A remark, unless nothing is to be said."""
        if self.show:
            say(text)


def subject_of(client: Client, sweep: Sweep, chosen: Chosen, prepared: Prepared) -> Subject:
    """What the prepared target is. Raises `UsageProblem` for settings that it does not have."""
    target = prepared.targets[0]
    indexed = any(trial.index for trial in chosen.trials)
    if "storeId" in target:
        if named := next((name for trial in chosen.trials for name in trial.flow), None):
            raise UsageProblem(f"settings.{named}: is of a flow, and the target is a document store")
        return Subject(None, client.get(f"/document-store/store/{target['storeId']}"), target["options"])
    flow = client.get(f"/chatflows/{target['chatflowId']}")
    store = client.get(f"/document-store/store/{flows.document_store(flow)}") if indexed else None
    return Subject(flow, store, target["options"])


def question_count(run: Run) -> int:
    """How many rows of the dataset are asked."""
    if run.plan.rows is not None:
        return sum(not row["draft"] for row in run.plan.rows)
    found = next(each for each in run.client.get("/datasets") if each["id"] == run.prepared.dataset_id)
    return int(found["rowCount"])


def batches(run: Run) -> list[list[Trial]]:
    """The trials of each evaluation. Those that search the same copy stand side by side."""
    ordered = list(run.chosen.trials)
    if run.subject.store is not None:
        ordered = [trial for _, some in variants.different(run.subject.store, ordered) for trial in some]
    return [ordered[start : start + TARGETS] for start in range(0, len(ordered), TARGETS)]


def estimate(run: Run, rows: int) -> str:
    """What will be done, in a line or two."""
    count = len(run.chosen.trials) - 1
    sampled = f", a random sample with seed {run.sweep.seed}" if run.chosen.sampled else ""
    repeats = f" x {run.sweep.repeats}" if run.sweep.repeats > 1 else ""
    cases = (count + 1) * rows * run.sweep.repeats
    told = (
        f"{count} of {run.chosen.combinations} combinations{sampled}, and what is there now: {rows} questions{repeats}"
        f" x {count + 1} = {cases:,} cases."
    )
    store = run.subject.store
    copies = len(variants.different(store, run.chosen.trials)) - 1 if store is not None else 0
    if store is not None and copies:
        told += (
            f" {copies} {'copies' if copies > 1 else 'copy'} of {store['name']}, which has {store['totalChunks']:,}"
            " chunks, for as long as it takes; texts that are embedded already are not embedded again."
        )
    return told


def evaluated(run: Run, *, again: bool) -> list[str]:
    """The ids of the sweep's evaluations, once all have ended; what it makes for them is in `run.made`. Raises
    `Interrupted`, `CommandError`."""
    some = batches(run)
    names = [
        run.title if len(some) == 1 else f"{run.title} {place} of {len(some)}" for place in range(1, len(some) + 1)
    ]
    known = {} if again else _known(run.client, names)
    found = []
    for name, batch in zip(names, some, strict=True):
        held = known.get(name)
        if held is None:
            held = _begun(run, name, [_target(run, trial) for trial in batch])
        elif held["state"] in OPEN:
            run.say(f"{name} is still running; following it.")
            _claim(run, batch)
        else:
            run.say(f"{name} was run before ({held['runDate'][:16].replace('T', ' ')}); --again runs it anew.")
        if held["state"] in OPEN:
            ended = follow(run.client, str(held["id"]), show=run.show)
            if ended["state"] != "completed":
                reason = (ended.get("error") or {}).get("message") or f"it is {ended['state']}"
                raise CommandError(f"evaluation {held['id']} has not come to its end: {reason}")
        found.append(str(held["id"]))
    return found


def _known(client: Client, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The newest evaluations of these names that ran to their end or are on their way."""
    found: dict[str, Mapping[str, Any]] = {}
    for item in client.get("/evaluations"):
        if item["name"] in names and item["latestEval"] and item["state"] in (*OPEN, "completed"):
            found[item["name"]] = item
    return found


def _begun(run: Run, name: str, targets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    body: dict[str, Any] = {
        "name": name,
        "datasetId": run.prepared.dataset_id,
        "targets": list(targets),
        "metrics": [metric.model_dump() for metric in run.sweep.measured()],
        "repeats": run.sweep.repeats,
    }
    if run.sweep.concurrency is not None:
        body["concurrency"] = run.sweep.concurrency
    return start(run.client, run.plan.file, body, run.sweep.judge)


def _target(run: Run, trial: Trial) -> dict[str, Any]:
    """The target that stands for a trial; what it needs is made."""
    store_id = _copied_store(run, trial)
    label, given = trial.label, dict(run.subject.options)
    if run.subject.flow is not None:
        flow_id = run.subject.id
        if trial.settings:
            flow_id = _copied_flow(run, run.subject.flow, trial, store_id)
        return {"chatflowId": flow_id, "label": label, "options": given}
    asked = trials.options(trial.settings)
    if "retrieval" in asked:
        given.pop("strategy", None)
    return {"storeId": store_id or run.subject.id, "label": label, "options": {**given, **asked}}


# Document stores


def _copied_store(run: Run, trial: Trial) -> str | None:
    """The copy of the document store that a trial searches; None: it searches the original."""
    store = run.subject.store
    body = variants.variant(store, trial.index) if store is not None else {}
    if store is None or not body:
        return None
    key = variants.shown_whole(body)
    if key not in run.copies:
        name = _copy_name(run, store, trial)
        found = next((each for each in _copies(run, store) if each["name"] == name), None)
        run.copies[key] = str(found["id"]) if found is not None else _made_copy(run, store, name, body)
        if found is not None:
            _await_filled(run, run.copies[key])
    return run.copies[key]


def _copy_name(run: Run, store: Mapping[str, Any], trial: Trial) -> str:
    return f"Sweep {run.digest}: {store['name'][:100]}, {trials.told(trial.index)[:300]}"


def _copies(run: Run, store: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    try:
        found: list[Mapping[str, Any]] = run.client.get(f"/document-store/store/{store['id']}/copies")
    except Rejected as error:
        if error.status != 404:  # it was deleted meanwhile
            raise
        return []
    return found


def _made_copy(run: Run, store: Mapping[str, Any], name: str, body: Mapping[str, Any]) -> str:
    wanted = {**body, "name": name, "hours": run.sweep.keep_hours}
    try:
        job = run.client.send(
            "POST",
            f"/document-store/store/{store['id']}/copy",
            json=wanted,
            headers={"Prefer": "respond-async"},
        ).json()
    except Rejected as error:
        if error.status in (400, 404, 422):
            raise UsageProblem(f"{run.plan.file}: settings: {error}") from None
        raise
    run.made.append(f"/document-store/store/{job['storeId']}")
    ended = follow_job(run.client, f"/jobs/{job['id']}")
    if ended["state"] != "done":
        reason = (ended["error"] or {}).get("message") or f"its job is {ended['state']}"
        raise CommandError(f"{store['name']} could not be copied: {reason}")
    result = ended["result"]
    run.say(f"{name}: {result['totalKeys']:,} chunks, {result['numEmbedded']:,} texts embedded.")
    if result["failed"]:
        first = result["failed"][0]
        run.say(f"{len(result['failed'])} documents are not in it, such as {first['name']}: {first['message']}")
    return str(job["storeId"])


def _await_filled(run: Run, copy_id: str) -> None:
    """Wait until a copy that an earlier run made is filled."""
    run.made.append(f"/document-store/store/{copy_id}")
    while run.client.get(f"/document-store/store/{copy_id}")["status"] == "UPSERTING":
        time.sleep(LOOK_SECONDS)


# Flows


def _copied_flow(run: Run, flow: Mapping[str, Any], trial: Trial, store_id: str | None) -> str:
    """The copy of the flow that has a trial's settings."""
    name = f"Sweep {run.digest} #{trial.number}: {flow['name'][:100]}"
    data = flows.changed(flow, flows.copied(flow), trial, store_id)
    for each in _flows(run):
        if each["name"] == name:
            run.client.send("DELETE", f"/chatflows/{each['id']}")  # of a run that was killed: it may be another by now
    body = {"name": name, "type": flow["type"], "flowData": data, "category": CATEGORY, "isPublic": False}
    if flow.get("chatbotConfig"):
        body["chatbotConfig"] = flow["chatbotConfig"]
    made = run.client.post("/chatflows", body)
    run.made.append(f"/chatflows/{made['id']}")
    return str(made["id"])


def _flows(run: Run) -> Iterator[Mapping[str, Any]]:
    for each in run.client.get("/chatflows"):
        if each["category"] == CATEGORY and _NAMED.match(each["name"]):
            yield each


# What is left


def _claim(run: Run, batch: Sequence[Trial]) -> None:
    """Take over what an earlier run made for trials that are evaluated now: it goes with the end of this one."""
    store = run.subject.store
    if store is not None:
        mine = f"Sweep {run.digest}: "
        run.made += [
            f"/document-store/store/{each['id']}" for each in _copies(run, store) if each["name"].startswith(mine)
        ]
    if run.subject.flow is not None and batch:
        mine = f"Sweep {run.digest} #"
        run.made += [f"/chatflows/{each['id']}" for each in _flows(run) if each["name"].startswith(mine)]


@contextmanager
def tidied(run: Run) -> Iterator[None]:
    """Inside, copies are made; behind it they are gone, however it ends, and those that earlier runs of this sweep
    left, or sweeps of flows long ago."""
    try:
        yield
    finally:
        _claim(run, run.chosen.trials)
        if run.subject.flow is not None:
            oldest = datetime.now(UTC) - timedelta(hours=run.sweep.keep_hours)
            old = [each for each in _flows(run) if datetime.fromisoformat(each["createdDate"]) < oldest]
            run.made += [f"/chatflows/{each['id']}" for each in old]
        for path in dict.fromkeys(run.made):
            _removed(run, path)


def _removed(run: Run, path: str) -> None:
    try:
        run.client.send("DELETE", path)
    except Rejected as error:
        if error.status != 404:
            run.say(f"{path} is left: {error}")
    except CommandError as error:
        run.say(f"{path} is left: {error}")


def front(run: Run, evaluations: Sequence[str]) -> Mapping[str, Any]:
    """What the service says of the trials, in the order of the evaluations."""
    first, *also = evaluations
    params: dict[str, Any] = {"holdout": run.sweep.holdout, "seed": run.sweep.seed}
    if also:
        params["also"] = also
    params["quality"] = run.sweep.quality or _label(run)
    if run.sweep.against is not None:
        params["by"] = list(run.sweep.against)
    found: Mapping[str, Any] = run.client.get(f"/evaluations/{first}/front", **params)
    return found


def _label(run: Run) -> str:
    from service.metrics.making import metric

    first = run.sweep.measured()[0]
    return metric(first.name, first.options).label
