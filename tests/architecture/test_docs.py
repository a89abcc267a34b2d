"""What is written about the service is true: settings, routes, commands, links, code blocks."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from service.cli.run import VERBS
from service.http.openapi import TAGS, operations
from service.settings import Settings, setting_names
from tests.architecture.source import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")


def blocks(*languages: str) -> Iterator[str]:
    """The README's code blocks in these languages."""
    yield from (text for language, text in BLOCK.findall(README) if language in languages)


def commands() -> Iterator[str]:
    """The command lines of the README's shell blocks, continued lines joined, prompts and comments dropped."""
    for block in blocks("sh", "bash", "shell", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ").split(" #")[0].strip()
            if line and not line.startswith("#"):
                yield line


def described(app: FastAPI) -> list[Any]:
    """Every route of the document, as a test's parameters would be."""
    return [(f"{method} {path}", operation) for method, path, operation in operations(app.openapi())]


def collected(problems: list[str]) -> None:
    """Fail with all of them."""
    assert not problems, "\n".join(problems)


def test_the_readme_describes_every_setting_and_no_other() -> None:
    rows = {line.split("`")[1]: line for line in README.splitlines() if line.startswith("| `RAGSTONE_")}
    problems = [f"{variable}: no row" for variable in setting_names() if variable not in rows]
    for variable, name in setting_names().items():
        described = str(Settings.model_fields[name].description).replace("|", "\\|")
        if described not in rows.get(variable, described):
            problems.append(f"{variable}: another description")
    problems += [f"{variable}: there is no such setting" for variable in set(rows) - set(setting_names())]
    collected(problems)


def test_every_command_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    problems = []
    for line in commands():
        words = [word for word in line.split() if "=" not in word.split("/")[0] or not word.isupper()]
        for position, word in enumerate(words[:-1]):
            following = words[position + 1]
            if word.endswith("ragstone") and not following.startswith(("-", "&", "|")) and following not in VERBS:
                problems.append(f"{line}: no verb {following}")
            if word == "make" and following not in targets:
                problems.append(f"{line}: no target {following}")
    collected(problems)


def test_every_call_of_the_readme_has_its_route(app: FastAPI) -> None:
    patterns = [
        re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$") for path in {path for _, path, _ in all_routes(app)}
    ]
    called = set(re.findall(r"(/api/v1/[\w${}/-]+)", " ".join(blocks("sh", "bash", "python", "html", "console"))))
    collected([path for path in called if not any(pattern.match(path.rstrip("/")) for pattern in patterns)])


def all_routes(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of every route of the document."""
    return list(operations(app.openapi()))


def test_the_code_blocks_of_the_readme_parse() -> None:
    for text in blocks("json"):
        json.loads(text)
    for text in blocks("python"):
        compile(text, "README.md", "exec")


def test_the_links_of_the_readme_lead_somewhere() -> None:
    collected([link for link in LINK.findall(README) if not (ROOT / link).exists()])


def test_every_route_says_what_it_does(app: FastAPI) -> None:
    problems = []
    for name, operation in described(app):
        if not operation.get("summary") or len(operation["summary"]) > 60:
            problems.append(f"{name}: no summary, or one of more than 60 characters")
        if len(operation.get("description", "")) < 15:
            problems.append(f"{name}: no description; write a docstring")
        if not set(operation.get("tags", ())) & set(TAGS):
            problems.append(f"{name}: its tag {operation.get('tags')} is not described in TAGS")
    collected(problems)


def test_operation_ids_are_short_and_unlike(app: FastAPI) -> None:
    ids = [operation["operationId"] for _, operation in described(app)]
    collected([name for name in ids if not CAMEL.fullmatch(name) or ids.count(name) > 1])


def test_every_answer_is_typed_and_has_an_example(app: FastAPI) -> None:
    problems = []
    for name, operation in described(app):
        successes = {status: item for status, item in operation["responses"].items() if status.startswith("2")}
        if not successes:
            problems.append(f"{name}: no success")
        for status, answer in successes.items():
            content = answer.get("content", {})
            if not content and status != "204":
                problems.append(f"{name}: {status} has no content")
            for kind, media in content.items():
                if not media.get("schema"):
                    problems.append(f"{name}: {status} {kind} has no type")
                if "example" not in media and "examples" not in media:
                    problems.append(f"{name}: {status} {kind} has no example")
    collected(problems)


def test_every_body_and_parameter_is_typed(app: FastAPI) -> None:
    problems = []
    for name, operation in described(app):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            if not media.get("schema") or "example" not in media:
                problems.append(f"{name}: {kind} has no type or no example")
        for parameter in operation.get("parameters", ()):
            if not parameter.get("schema"):
                problems.append(f"{name}: {parameter['name']} has no type")
            if parameter["in"] != "path" and not parameter.get("description"):
                problems.append(f"{name}: {parameter['name']} has no description")
    collected(problems)


def test_every_error_has_the_one_body_and_an_example(app: FastAPI) -> None:
    problems = []
    for name, operation in described(app):
        errors = {status: item for status, item in operation["responses"].items() if int(status) >= 400}
        needed = {"500"} | ({"401", "403"} if operation["security"] else set())
        if lacking := needed - set(errors):
            problems.append(f"{name}: does not declare {lacking}")
        for status, answer in errors.items():
            media = answer["content"].get("application/json", {})
            if media.get("schema") != {"$ref": "#/components/schemas/ErrorBody"}:
                problems.append(f"{name}: {status} is not the error body")
            elif media["example"]["statusCode"] != int(status):
                problems.append(f"{name}: {status} has an example of another status")
    collected(problems)


def test_the_examples_of_answers_fit_their_models(app: FastAPI) -> None:
    document = app.openapi()
    for route in app.routes:
        assert isinstance(route, APIRoute)
        if route.response_model is None or not route.include_in_schema:
            continue
        for method in route.methods or ():
            answers = document["paths"][route.path][method.lower()]["responses"]
            example = answers[str(route.status_code or 200)]["content"]["application/json"]["example"]
            TypeAdapter(route.response_model).validate_python(example)


def test_no_reference_of_the_document_dangles(app: FastAPI) -> None:
    document = app.openapi()
    text = json.dumps(document)
    known = set(document["components"]["schemas"])
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= known
    assert "HTTPValidationError" not in known
    schemes = chain.from_iterable(operation["security"] for _, operation in described(app))
    assert {name for scheme in schemes for name in scheme} <= set(document["components"]["securitySchemes"])
