"""What settings mean for a document store and for a flow, and what is changed when they are set for good."""

import json
from typing import Any
from uuid import UUID

import pytest

from service.cli.exits import UsageProblem
from service.cli.flows import answer_flow
from service.cli.sweeps import flows
from service.cli.sweeps.applying import application, found
from service.cli.sweeps.running import Subject
from service.cli.sweeps.trials import Trial
from service.cli.sweeps.variants import different, variant

FLOW_ID = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"
STORE_ID = "6f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c22"


def loader(splitter: str | None = None, config: Any = None, **more: Any) -> dict[str, Any]:
    """A loader as the service shows it."""
    return {
        "id": "l",
        "loaderId": "file",
        "loaderName": "Files",
        "splitterId": splitter,
        "splitterConfig": config,
        "files": [{"name": "a.txt"}],
        **more,
    }


def store(*loaders: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A document store as the service shows it."""
    return {
        "id": STORE_ID,
        "name": "Handbook",
        "loaders": list(loaders),
        "embeddingConfig": None,
        "vectorStoreConfig": None,
        **more,
    }


def flow(*nodes: dict[str, Any], edges: Any = ()) -> dict[str, Any]:
    """A flow as the service shows it."""
    data = {"nodes": [{"id": node["id"], "data": node} for node in nodes], "edges": list(edges)}
    return {"id": FLOW_ID, "name": "Assistant", "type": "CHATFLOW", "flowData": json.dumps(data)}


def assistant() -> dict[str, Any]:
    """The smallest flow that answers from a document store."""
    return {"id": FLOW_ID, "name": "Assistant", "type": "CHATFLOW", "flowData": answer_flow(STORE_ID)}


def inputs(flow_data: str, node: str) -> dict[str, Any]:
    """The inputs of a node of a graph."""
    (found,) = [each for each in json.loads(flow_data)["nodes"] if each["id"] == node]
    return dict(found["data"]["inputs"])


def test_a_copy_is_cut_by_what_is_named_and_by_what_the_loaders_have() -> None:
    held = store(loader("markdown", {"chunkSize": 900, "chunkOverlap": 90}))
    assert variant(held, {}) == {}
    assert variant(held, {"chunk_size": 400})["splitter"] == {"name": "markdown", "config": {"chunkSize": 400}}
    assert variant(held, {"chunk_overlap": 0})["splitter"]["config"] == {"chunkSize": 900, "chunkOverlap": 0}
    assert variant(held, {"splitter": "default"})["splitter"] == {"name": "default", "config": {}}
    assert variant(held, {"embedding": {"name": "local", "config": {}}}) == {
        "embedding": {"name": "local", "config": {}}
    }
    assert variant(store(loader()), {"chunk_size": 400})["splitter"]["name"] == "default"
    assert variant(store(), {"chunk_size": 400})["splitter"]["name"] == "default"


def test_loaders_that_are_cut_differently_need_a_named_splitter() -> None:
    held = store(loader("markdown"), loader("token"), loader(loaderId="chunks"))
    with pytest.raises(UsageProblem, match="different splitters: name the one to try"):
        variant(held, {"chunk_size": 400})
    assert variant(held, {"chunk_size": 400, "splitter": "token"})["splitter"]["config"] == {"chunkSize": 400}
    assert (
        variant(store(loader("markdown"), loader(loaderId="chunks")), {"chunk_size": 9})["splitter"]["name"]
        == "markdown"
    )


def test_trials_that_search_the_same_chunks_share_a_copy_small_chunks_first() -> None:
    trials = [
        Trial(0, {}),
        Trial(1, {"chunk_size": 800, "k": 3}),
        Trial(2, {"chunk_size": 400}),
        Trial(3, {"chunk_size": 800, "k": 8}),
        Trial(4, {"k": 9}),
    ]
    shared = [(body, [trial.number for trial in some]) for body, some in different(store(loader()), trials)]
    assert [numbers for _, numbers in shared] == [[0, 4], [2], [1, 3]]
    assert shared[0][0] == {}


def test_settings_of_a_flow_are_inputs_of_its_nodes() -> None:
    trial = Trial(
        1, {"k": 8, "strategy": "similarity", "prompt": "Be brief. {context}", "bufferMemory_0.memoryKey": "m"}
    )
    data = flows.changed(assistant(), flows.copied(assistant()), trial)
    assert inputs(data, "documentStoreVS_0") == {
        "selectedStore": STORE_ID,
        "topK": 8,
        "retrieval": [{"name": "similarity"}],
    }
    assert inputs(data, "conversationalRetrievalQAChain_0")["responsePrompt"] == "Be brief. {context}"
    assert inputs(data, "bufferMemory_0")["memoryKey"] == "m"
    elsewhere = flows.changed(assistant(), flows.copied(assistant()), trial, str(UUID(int=5)))
    assert inputs(elsewhere, "documentStoreVS_0")["selectedStore"] == str(UUID(int=5))
    assert flows.document_store(assistant()) == STORE_ID


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"Nobody.x": 1}, "no node 'Nobody'; its nodes are documentStoreVS_0"),
        ({"k": 3}, "are those of a node documentStoreVS"),
        ({"prompt": "x"}, "has none that is known"),
    ],
)
def test_settings_that_a_flow_does_not_have_are_named(settings: dict[str, Any], said: str) -> None:
    held = assistant() if "k" not in settings and "prompt" not in settings else flow({"id": "a", "name": "x"})
    with pytest.raises(UsageProblem, match=said):
        flows.changed(held, flows.copied(held), Trial(1, settings))


OWN: dict[str, Any] = {
    "id": "postgres_0",
    "name": "postgres",
    "label": "Postgres",
    "category": "Vector Stores",
    "inputs": {"topK": 5, "pgMetadataFilter": '{"a": 1}', "host": "db"},
}


def test_in_a_copy_a_vector_store_node_reads_what_the_original_keeps() -> None:
    from service.document_stores.types import Owner

    edges = [{"source": "embed_0", "target": "postgres_0"}, {"source": "postgres_0", "target": "chain_0"}]
    held = flow(OWN, {"id": "chain_0", "name": "retrievalQAChain", "inputs": {}}, edges=edges)
    copied = json.loads(flows.copied(held))
    owned = str(Owner(UUID(FLOW_ID), "postgres_0", "").store_id)
    assert copied["nodes"][0]["data"]["name"] == "documentStoreVS"
    assert copied["nodes"][0]["data"]["inputs"] == {"selectedStore": owned, "topK": 5, "filter": '{"a": 1}'}
    assert copied["edges"] == edges[1:]
    assert flows.document_store(held) == owned
    assert inputs(flows.applied(held, Trial(1, {"k": 9})), "postgres_0") == {**OWN["inputs"], "topK": 9}
    with pytest.raises(UsageProblem, match="has none of these settings"):
        flows.applied(held, Trial(1, {"strategy": "similarity"}))


def test_flows_whose_copies_would_find_or_do_something_else_are_refused() -> None:
    picking = {**OWN, "inputs": {"searchType": "mmr"}}
    with pytest.raises(UsageProblem, match="has searchType, by which its copy would not find the same"):
        flows.copied(flow(picking))
    clock = {"id": "startAgentflow_0", "name": "startAgentflow", "inputs": {"startInputType": "scheduleInput"}}
    with pytest.raises(UsageProblem, match="copies of it would run too"):
        flows.copied(flow(clock))
    with pytest.raises(UsageProblem, match="reads no document stores"):
        flows.document_store(flow({"id": "a", "name": "x"}))


def test_what_is_set_for_good_is_shown_and_done_by_public_routes() -> None:
    held = store(
        loader("markdown", {"chunkSize": 900}), vectorStoreConfig={"name": "qdrant", "config": {"topK": 4, "a": 1}}
    )
    wish = application(Subject(None, held, {}), Trial(1, {"chunk_size": 400, "k": 8, "embedding": {"name": "local"}}))
    assert [(each.what, each.then) for each in wish.changes] == [
        ("embedding", '{"name": "local"}'),
        ("splitter of Files", '{"config": {"chunkSize": 400}, "name": "markdown"}'),
        ("topK", "8"),
    ]
    assert [(step.method, step.path) for step in wish.steps] == [
        ("POST", "/document-store/vectorstore/reindex"),
        ("POST", f"/document-store/refresh/{STORE_ID}"),
        ("PUT", f"/document-store/store/{STORE_ID}"),
    ]
    config = json.loads(wish.steps[2].body["vectorStoreConfig"])
    assert config == {"name": "qdrant", "config": {"topK": 8, "a": 1}}
    assert application(Subject(None, held, {}), Trial(0, {})).changes == []
    assert application(Subject(None, held, {}), Trial(1, {"k": 4})).changes == []


def test_a_flow_gets_its_settings_and_its_document_store_its_chunks() -> None:
    wish = application(Subject(assistant(), store(loader()), {}), Trial(1, {"chunk_size": 400, "k": 8}))
    assert [(each.where, each.what, each.now, each.then) for each in wish.changes] == [
        (
            "document store Handbook",
            "splitter of Files",
            "default",
            '{"config": {"chunkSize": 400}, "name": "default"}',
        ),
        ("flow Assistant", "documentStoreVS_0.topK", "default", "8"),
    ]
    assert [step.path for step in wish.steps] == [
        f"/document-store/refresh/{STORE_ID}",
        f"/chatflows/{FLOW_ID}",
    ]


def test_settings_are_named_by_their_number() -> None:
    trials = [Trial(0, {}), Trial(2, {"k": 2}), Trial(1, {"k": 1})]
    assert found(trials, "1", None) is trials[2]
    assert found(trials, "#2", None) is trials[1]
    assert found(trials, "chosen", trials[1]) is trials[1]
    for wanted in ("3", "x", ""):
        with pytest.raises(UsageProblem, match="there is no trial"):
            found(trials, wanted, None)
    with pytest.raises(UsageProblem, match="none is suggested"):
        found(trials, "chosen", None)
