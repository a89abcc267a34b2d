"""The source, parsed once for all rules."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("service", "loaders", "stores")


@dataclass(frozen=True)
class Import:
    """One imported module, and whether only the type checker imports it."""

    name: str
    line: int
    typing: bool = False

    @property
    def top(self) -> str:
        """The distribution's or room's top-level name."""
        return self.name.split(".")[0]


@dataclass(frozen=True)
class Module:
    """One source file. `path` is relative to the repository, with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def imports(self) -> list[Import]:
        """Everything it imports, at whatever depth, with the full dotted name of what is taken."""
        typing = {
            id(inner)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [Import(alias.name, node.lineno, id(node) in typing) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: relative import"
                found += [
                    Import(f"{node.module}.{alias.name}", node.lineno, id(node) in typing) for alias in node.names
                ]
        return found

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function, nested ones included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def at(self, node: ast.AST, text: str) -> str:
        """A finding."""
        return f"{self.path}:{getattr(node, 'lineno', 0)}: {text}"


@lru_cache(1)
def source() -> tuple[Module, ...]:
    """Every source file of the rooms."""
    files = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return tuple(Module(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")) for file in files)
