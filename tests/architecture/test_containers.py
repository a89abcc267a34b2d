"""compose.yaml and Dockerfile agree with the service they run; the engine itself is not needed for this."""

import re
from typing import Any

import pytest
import yaml

from service.cli.run import VERBS
from service.settings import setting_names
from stores.vector import open_vector_store
from tests.architecture.source import ROOT

COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
VARIABLE = re.compile(r"\$\{(\w+)([^}]*)\}")
OURS = ("migrate", "serve", "worker")
SECRETS = {"POSTGRES_PASSWORD", "RAGSTONE_SECRET_KEY"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of compose.yaml."""
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
    return parsed


def test_a_secret_that_is_missing_stops_everything_with_a_sentence() -> None:
    for name, rest in VARIABLE.findall(COMPOSE):
        if name in SECRETS:
            assert rest.startswith(":?set " + name), f"{name} must have no default"
    assert {name for name, _ in VARIABLE.findall(COMPOSE)} >= SECRETS


def test_no_secret_is_written_down() -> None:
    for key, value in re.findall(r"^\s*(\w*(?:PASSWORD|SECRET|KEY)\w*):\s*(\S.*)$", COMPOSE, re.MULTILINE):
        assert value.startswith("${"), key
    assert not SECRETS & set(re.findall(r"\b[A-Z_]+\b", DOCKERFILE))


def test_all_processes_run_one_image_on_one_database_and_one_folder(services: dict[str, Any]) -> None:
    for part in ("image", "environment", "volumes", "build"):
        assert services["serve"][part] == services["worker"][part] == services["migrate"][part]
    assert services["serve"]["volumes"] == ["data:/data"]
    assert "RAGSTONE_DATA=/data" in DOCKERFILE


def test_every_command_is_a_verb(services: dict[str, Any]) -> None:
    for name in OURS:
        assert services[name]["command"][0] in VERBS
    check = services["worker"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "ragstone"]
    assert check[2] in VERBS


def test_every_setting_that_a_container_gets_exists(services: dict[str, Any]) -> None:
    given = {key for name in OURS for key in services[name]["environment"] if key.startswith("RAGSTONE_")}
    given |= set(re.findall(r"\b(RAGSTONE_\w+)=", DOCKERFILE))
    assert given <= set(setting_names())


def test_processes_start_when_postgres_is_healthy_and_migrated(services: dict[str, Any]) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("serve", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services[name]["depends_on"]["postgres"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", ["chroma", "qdrant"])
def test_a_vector_store_of_its_own_starts_where_it_is_asked_for_and_keeps_its_points(
    services: dict[str, Any], name: str
) -> None:
    service = services[name]
    assert service["profiles"] == [name]
    assert re.fullmatch(r"\S+:v?\d+\.\d+\.\d+", service["image"]), "a version that is pinned"
    (volume,) = service["volumes"]
    assert volume.partition(":")[0] in yaml.safe_load(COMPOSE)["volumes"]
    (url,) = set(re.findall(rf"RAGSTONE_VECTOR_STORE=({name}://\S+?)\"", COMPOSE))
    assert f"COMPOSE_PROFILES={name}" in COMPOSE
    port = url.rpartition(":")[2]
    assert url == f"{name}://{name}:{port}"
    assert f"/dev/tcp/127.0.0.1/{port}" in service["healthcheck"]["test"][-1]
    open_vector_store(url)
    assert services["serve"]["environment"]["RAGSTONE_VECTOR_STORE"] == "${RAGSTONE_VECTOR_STORE:-pgvector://}"


def test_what_runs_on_is_watched_and_restarted(services: dict[str, Any]) -> None:
    for name in ("postgres", "chroma", "qdrant", "serve", "worker"):
        assert services[name]["healthcheck"]["test"][0] == "CMD"
        assert services[name]["restart"] == "unless-stopped"
    assert "/readyz" in services["serve"]["healthcheck"]["test"][-1]


def test_nothing_runs_as_root_or_listens_beyond_this_machine(services: dict[str, Any]) -> None:
    last = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert last.index("USER 10001") < last.index("ENTRYPOINT")
    for name in OURS:
        assert services[name]["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in services[name]["security_opt"]
    assert [port for item in services.values() for port in item.get("ports", ())] == services["serve"]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in services["serve"]["ports"])


def test_the_image_is_built_from_the_source_alone() -> None:
    kept = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    copied = {
        path for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for path in line.split()[:-1]
    }
    assert set(kept) == copied
    assert all((ROOT / path).exists() for path in kept)
