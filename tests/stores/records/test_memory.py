from pathlib import Path

import pytest

from stores.records.memory import index_memory, memory_bytes, shared_buffers

GIB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "mebibytes"), [(0, 128), (GIB // 2, 128), (2 * GIB, 256), (24 * GIB, 3072), (512 * GIB, 4096)]
)
def test_postgres_caches_an_eighth_of_the_memory_within_bounds(memory: int, mebibytes: int) -> None:
    assert shared_buffers(memory) == mebibytes


@pytest.mark.parametrize(("memory", "mebibytes"), [(0, 256), (GIB, 256), (24 * GIB, 3072), (512 * GIB, 4096)])
def test_building_an_index_takes_an_eighth_of_the_memory_within_bounds(memory: int, mebibytes: int) -> None:
    assert index_memory(memory) == mebibytes


@pytest.mark.parametrize("place", ["memory.max", "memory/memory.limit_in_bytes"])
def test_the_limit_of_a_container_counts_where_it_is_lower_than_the_machine(tmp_path: Path, place: str) -> None:
    machine = memory_bytes(tmp_path)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("104857600\n")
    assert memory_bytes(tmp_path) == 104857600 < machine


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096), "", "no number"])
def test_a_container_without_a_limit_has_the_machine(tmp_path: Path, limit: str) -> None:
    machine = memory_bytes(tmp_path)
    (tmp_path / "memory.max").write_text(limit)
    assert memory_bytes(tmp_path) == machine
