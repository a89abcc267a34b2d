"""Exports as they vary: what versions of the editor, other clients and hands make of the same flow.

`HARMLESS` changes leave a flow what it is; `WILD` ones may break it, and then it must be said where.
"""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from uuid import UUID

Json = dict[str, Any]
Change = Callable[[Json, Random], None]

ROWS_AS_TEXT = 0.5
"""The part of lists of rows that become their JSON text."""


def nodes(flow: Json) -> list[Json]:
    """The nodes that are more than notes."""
    return [node for node in flow["nodes"] if isinstance(node, dict) and isinstance(node.get("data"), dict)]


def inputs(flow: Json) -> Iterator[Json]:
    """The inputs of each node."""
    for node in nodes(flow):
        if isinstance(node["data"].get("inputs"), dict):
            yield node["data"]["inputs"]


def configured(flow: Json) -> Iterator[Json]:
    """The inputs of each node, and of what each node uses."""
    for given in inputs(flow):
        yield from _objects(given, configs=True)


def objects(flow: Json) -> Iterator[Json]:
    """Every object in the inputs of nodes: these themselves, rows, configurations."""
    for given in inputs(flow):
        yield from _objects(given)


def _objects(value: Any, *, configs: bool = False) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
        for name, item in list(value.items()):
            if not configs or name.endswith("Config") or isinstance(item, list):
                yield from _objects(item, configs=configs)
    elif isinstance(value, list):
        for item in value:
            if not configs:
                yield from _objects(item)
            elif isinstance(item, dict):
                for name, inner in list(item.items()):
                    if name.endswith("Config"):
                        yield from _objects(inner, configs=True)


def numbers_as_text(flow: Json, random: Random) -> None:
    """Fields of the editor hold what was typed."""
    for held in objects(flow):
        for name, value in held.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                held[name] = random.choice([str(value), f" {value} "])


def texts_as_numbers(flow: Json, random: Random) -> None:
    """The API's clients send numbers where the editor has texts."""
    for node in nodes(flow):
        kinds = {item.get("name"): item.get("type") for item in node["data"].get("inputParams", ())}
        for name, value in node["data"].get("inputs", {}).items():
            if kinds.get(name) == "number" and isinstance(value, str) and value.strip():
                node["data"]["inputs"][name] = json.loads(value)


def booleans_as_text(flow: Json, random: Random) -> None:
    """So do switches."""
    for held in objects(flow):
        for name, value in held.items():
            if isinstance(value, bool):
                held[name] = random.choice([str(value).lower(), str(value)])


def unset_otherwise(flow: Json, random: Random) -> None:
    """What is not set is an empty text, null, or not there at all."""
    for node in nodes(flow):
        held = node["data"].get("inputs")
        if not isinstance(held, dict):
            continue
        named = [item["name"] for item in node["data"].get("inputParams", ()) if isinstance(item, dict)]
        for name in {**dict.fromkeys(named), **held}:
            if held.get(name) in ("", None):
                held.pop(name, None)
                if (how := random.randrange(3)) < 2:
                    held[name] = ("", None)[how]


def unknown_fields(flow: Json, random: Random) -> None:
    """Newer versions have more of them, older ones one without a name."""
    for held in configured(flow):
        held |= random.choice([{"toolBeltSize": "3"}, {"undefined": ""}, {"reasoningTokens": None, "newer": [1, {}]}])


def rows_as_text(flow: Json, random: Random) -> None:
    """Grids are kept as JSON text by some versions."""
    for held in inputs(flow):
        for name, value in held.items():
            rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
            if rows and random.random() < ROWS_AS_TEXT:
                held[name] = json.dumps(value, indent=random.choice([None, 2]))


def text_as_values(flow: Json, random: Random) -> None:
    """And what was JSON text is a value for others."""
    for held in configured(flow):
        for name, value in held.items():
            if isinstance(value, str) and value.lstrip()[:1] in ("[", "{") and "{{" not in value.lstrip()[:3]:
                try:
                    held[name] = json.loads(value)
                except ValueError:
                    continue


def mentions(flow: Json, random: Random) -> None:
    """Rich text has marks around variables, and a paragraph around everything."""
    if not any(node["data"].get("name") == "startAgentflow" for node in nodes(flow)):
        return
    for held in objects(flow):
        for name, value in held.items():
            if isinstance(value, str) and value.startswith("{{") and value.endswith("}}"):
                inner = value.strip("{} ")
                mark = f'<span class="variable" data-type="mention" data-id="{inner}" data-label="{inner}">'
                held[name] = f"<p>{mark}{value}</span> </p>"


def versions(flow: Json, random: Random) -> None:
    """Older or newer than what is known here."""
    for node in nodes(flow):
        node["data"]["version"] = random.choice([0, 0.1, "1", 99, "99.1", None])
        if random.random() < 0.2:
            del node["data"]["version"]


def drawing(flow: Json, random: Random) -> None:
    """Where it is drawn, and what was chosen last."""
    flow["viewport"] = random.choice([None, {}, {"x": "far", "zoom": None}])
    for node in flow["nodes"]:
        node["position"] = random.choice([None, {}, {"x": None, "y": "1e9"}, {"x": -1e300, "y": 7}])
        node["selected"] = random.choice([True, "false", None])
        node["positionAbsolute"] = node["width"] = random.choice([None, 300, "wide"])
        node["zIndex"] = random.choice([1001, -1, "top"])


def drawn_again(flow: Json, random: Random) -> None:
    """Links are drawn twice, in another order, under ids that say nothing."""
    flow["edges"] += [dict(edge) for edge in flow["edges"]]
    for edge in flow["edges"]:
        if edge.get("sourceHandle"):
            edge["id"] = random.choice(["", "edge", None])
        edge["data"] = random.choice([None, {}, {"label": 1}])
        edge["selected"] = True


def other_credential_field(flow: Json, random: Random) -> None:
    """The id of a credential stands under one name, or the other, or both."""
    for node in nodes(flow):
        data = node["data"]
        if data.get("credential") and isinstance(data.get("inputs"), dict):
            data["inputs"]["FLOWISE_CREDENTIAL_ID"] = data["credential"]
            data["credential"] = random.choice([data["credential"], "", None])
    for held in objects(flow):
        if held.get("FLOWISE_CREDENTIAL_ID"):
            held["credential"] = random.choice([held["FLOWISE_CREDENTIAL_ID"], ""])


def handles_in_ids(flow: Json, random: Random) -> None:
    """What draws edges in code may leave out what their ids say."""
    for edge in flow["edges"]:
        said = f"{edge['source']}-{edge.get('sourceHandle')}-{edge['target']}-{edge.get('targetHandle')}"
        if edge.get("id") == said and random.random() < 0.5:
            del edge["sourceHandle"], edge["targetHandle"]


def left_lying(flow: Json, random: Random) -> None:
    """Somebody tried a node, and left it where nothing leads to it."""
    later = any(node["data"].get("name") == "startAgentflow" for node in nodes(flow))
    name, category = random.choice(
        [("llmAgentflow", "Agent Flows"), ("videoAgentflow", "Agent Flows"), ("loopAgentflow", "Agent Flows")]
        if later
        else [("llmChain", "Chains"), ("csvAgent", "Agents"), ("weaviate", "Vector Stores"), ("chatOpenAI", "")]
    )
    data = {"id": "left_98", "name": name, "label": "Left", "category": category, "inputs": {"model": ""}}
    flow["nodes"].insert(random.randrange(len(flow["nodes"])), {"id": "left_98", "type": "customNode", "data": data})


def one_more_note(flow: Json, random: Random) -> None:
    """Somebody left a note that nothing leads to."""
    data = {"id": "stickyNote_99", "name": "stickyNote", "inputs": {"note": "{{question}} <p>"}}
    flow["nodes"].append({"id": "stickyNote_99", "type": "customNode", "data": data})


HARMLESS: tuple[Change, ...] = (
    numbers_as_text,
    texts_as_numbers,
    booleans_as_text,
    unset_otherwise,
    unknown_fields,
    rows_as_text,
    text_as_values,
    mentions,
    versions,
    drawing,
    drawn_again,
    other_credential_field,
    handles_in_ids,
    left_lying,
    one_more_note,
)

JUNK: tuple[Any, ...] = (
    *(None, "", " ", 0, -1, 3.5, 1e308, 10**400, True, [], {}, [None], [[]], [{}], ["x"], "x", {"a": {"b": [1]}}),
    *("{{", "[", "{", "[1]", '{"a": 1}', "NaN", "true", "\x00", "<p>", "<p><span>{{ x }}</span></p>", "é" * 300),
    *("{{question}}", "{{ $flow.state.x }}", "{{nobody.data.instance}}", "not-an-id:name", str(UUID(int=0))),
    *('[{"key": 1}]', [{"key": None, "value": {}}], {"FLOWISE_CREDENTIAL_ID": 7}),
)
"""What stands in a field that somebody wrote by hand, or that a client got wrong."""


def a_value(flow: Json, random: Random) -> None:
    """One value in the inputs becomes another."""
    held = random.choice([*objects(flow)] or [{}])
    if held:
        held[random.choice([*held])] = json.loads(json.dumps(random.choice(JUNK)))


def a_field_gone(flow: Json, random: Random) -> None:
    """One value in the inputs is not there."""
    held = random.choice([*objects(flow)] or [{}])
    if held:
        del held[random.choice([*held])]


def part_of_a_node(flow: Json, random: Random) -> None:
    """A part of a node is something else, or gone."""
    node = random.choice(flow["nodes"])
    if not isinstance(node, dict) or not isinstance(node.get("data"), dict):
        return
    params = node["data"].get("inputParams")
    held = random.choice([node, node["data"], *(params if isinstance(params, list) else ())])
    if not isinstance(held, dict):
        return
    name = random.choice(["id", "type", "parentNode", "data", "name", "label", "category", "inputs", "inputParams",
                          "inputAnchors", "outputs", "credential", "baseClasses", "version"])  # fmt: skip
    if random.random() < 0.4:
        held.pop(name, None)
    else:
        held[name] = random.choice(JUNK)


def a_node(flow: Json, random: Random) -> None:
    """A node is there twice, is gone, or is none; or there is one more, linked to nothing."""
    node = random.choice(flow["nodes"])
    match random.randrange(5):
        case 0:
            flow["nodes"].append(json.loads(json.dumps(node)))
        case 1 if len(flow["nodes"]) > 1:
            flow["nodes"].remove(node)
        case 2:
            flow["nodes"].append(random.choice(JUNK))
        case 3:
            name = random.choice(["calculator", "agentAgentflow", "madeUp", "iterationAgentflow", "faiss"])
            flow["nodes"].append({"id": f"{name}_77", "data": {"id": f"{name}_77", "name": name, "inputs": {}}})
        case _:
            random.shuffle(flow["nodes"])


def an_edge(flow: Json, random: Random) -> None:
    """A link leads nowhere, comes from nowhere, leads back, or is none."""
    if not flow["edges"]:
        return
    edge = random.choice(flow["edges"])
    if not isinstance(edge, dict) or random.random() < 0.2:
        flow["edges"].append(random.choice(JUNK) if random.random() < 0.2 else {})
        return
    name = random.choice(["source", "target", "sourceHandle", "targetHandle"])
    match random.randrange(4):
        case 0:
            flow["edges"].remove(edge)
        case 1:
            edge[name] = random.choice(
                ["nobody_0", f"{edge.get('source')}-output-9-x", f"{edge.get('target')}-input-x"]
            )
        case 2:
            edge[name] = random.choice(JUNK)
        case _:
            edge["source"], edge["target"] = edge.get("target"), edge.get("source")


WILD: tuple[Change, ...] = (a_value, a_value, a_value, a_field_gone, part_of_a_node, a_node, an_edge)
