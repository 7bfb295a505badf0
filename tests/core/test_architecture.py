"""The floors of ARCHITECTURE.md: imports go downwards, the core is pure, edges meet only in app.py."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "livetape"
MODULES = sorted(path for path in SOURCE.rglob("*.py"))
#: What each part may import from livetape, beside itself. ``clock`` is the edges' source of time and chance.
ALLOWED = {
    "core": set(),
    "adapters": {"core"},
    "dialects": {"core", "adapters"},
    "clock": set(),
    "calendars": {"core", "adapters"},
    "feeds": {"core", "adapters", "clock"},
    "store": {"core", "clock", "player", "__init__"},  # the player only when it is called
    "gateway": {"core", "clock", "__init__"},
    "simulator": {"core", "dialects", "clock", "gateway"},
    "keys": {"core"},
    "config": {"core", "adapters", "feeds", "keys", "store"},
    "app": {"core", "adapters", "calendars", "clock", "feeds", "store", "gateway", "config"},
    "player": {"core", "calendars", "clock", "feeds", "store"},
    "handlers": {"core"},
    "hours": {"core", "clock", "calendars"},
    "stream": {"core", "adapters", "feeds", "app", "config", "calendars", "handlers", "hours"},
    "cli": {
        "core",
        "adapters",
        "dialects",
        "calendars",
        "simulator",
        "feeds",
        "store",
        "gateway",
        "clock",
        "config",
        "player",
        "app",
        "stream",
        "__init__",
    },
    "__init__": {"calendars", "store", "stream"},
    "__main__": {"cli"},
}
IMPURE = {
    "asyncio",
    "socket",
    "time",
    "os",
    "pathlib",
    "logging",
    "threading",
    "random",
    "picows",
    "aiohttp",
    "apsw",
}
PURE = ("core", "adapters", "dialects")


def imports(path: Path) -> tuple[set[tuple[str, ...]], set[str]]:
    """Our modules that ``path`` imports, as paths below livetape, and the top-level names of others."""
    package = path.relative_to(SOURCE).with_suffix("").parts[:-1]
    ours: set[tuple[str, ...]] = set()
    others: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            module = tuple((node.module or "").split(".")) if node.module else ()
            ours |= {(*base, *module)} if module else {(*base, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            others.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
    return ours, others


def part(module: tuple[str, ...]) -> str:
    return module[0] if module and module[0] in ALLOWED else "__init__"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downwards(path: Path) -> None:
    here = part(path.relative_to(SOURCE).with_suffix("").parts)
    ours, others = imports(path)
    assert {part(module) for module in ours} - {here} <= ALLOWED[here]
    if here in PURE:
        assert not others & IMPURE, "the core is pure: no I/O, no clock, no log, no chance"


def test_adapters_know_at_most_another_api_of_their_vendor() -> None:
    for path in (SOURCE / "adapters").rglob("*.py"):
        own = path.relative_to(SOURCE / "adapters").with_suffix("").parts[0]
        known = {module[1] for module in imports(path)[0] if module[0] == "adapters" and len(module) > 1}
        assert {name.partition("_")[0] for name in known} <= {own.partition("_")[0]}


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {
        path.relative_to(SOURCE).with_suffix("").parts: top_level_imports(path)
        for path in MODULES
        if path.stem != "__init__"
    }
    visiting: list[tuple[str, ...]] = []
    done: set[tuple[str, ...]] = set()

    def visit(module: tuple[str, ...]) -> None:
        assert module not in visiting, f"a cycle: {visiting[visiting.index(module) :]}"
        if module in graph and module not in done:
            visiting.append(module)
            for each in graph[module]:
                visit(each)
            done.add(visiting.pop())

    for module in graph:
        visit(module)


def top_level_imports(path: Path) -> set[tuple[str, ...]]:
    """What importing ``path`` imports; not what a function or a type checker does later."""
    package = path.relative_to(SOURCE).with_suffix("").parts[:-1]
    return {
        (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and node.level
    }
