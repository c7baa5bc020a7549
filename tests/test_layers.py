"""Imports flow one way, each library has one home, and nothing that runs what it reads is used.

`LAYERS` is the picture: a module may import what stands in its own line or above. A new module fails the first test
until it is placed.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("text in, numbers out", ("embeddings",)),
    ("pages to articles", ("service.extract",)),
    ("values", ("service.model", "service.settings", "service.errors", "service.patterns", "service.schemas", "service.answers", "service.feed_schemas", "service.night_schemas", "service.edit_schemas", "service.keys", "service.key_schemas", "service.display")),
    ("watching", ("service.tracing", "service.telemetry", "service.bell")),
    ("words for people", ("service.telling", "service.explain")),
    ("decisions", ("service.assign", "service.copies", "service.stories", "service.likeness", "service.recluster", "service.regroup", "service.bonds", "service.reconcile", "service.plan", "service.timeline", "service.webhooks", "service.limits")),
    ("scores", ("service.metrics", "service.gold")),
    ("what decisions look at", ("service.window", "service.candidates")),
    ("files on disk", ("service.placing",)),
    ("the store", ("service.store",)),
    ("use cases", ("service.prepare", "service.learned", "service.batch", "service.draft", "service.copying", "service.seen", "service.ingest", "service.stored_vectors", "service.witness", "service.stage", "service.openings", "service.nightly", "service.parallel", "service.archive", "service.distributed", "service.shift", "service.watch", "service.editing", "service.rebuild", "service.reembed", "service.similar", "service.check", "service.backup", "service.transfer", "service.courier", "service.keyring", "service.issuing")),
    ("the desk", ("service.gauges", "service.desk", "service.readonly")),
    ("HTTP", ("service.inflate", "service.api", "service.door", "service.guard")),
    ("wiring", ("service.standby", "service.app", "service.schedule", "service.server")),
    ("files", ("service.intake", "service.reclustering", "service.editorial", "service.locksmith", "service.reading", "service.feed", "service.evaluate", "service.labels", "service.fitted", "service.fit")),
    ("the terminal", ("service.console", "service.bars", "service.loading", "service.demo", "service.cli")),
)  # fmt: skip
DECISIONS = {
    "service.assign",
    "service.copies",
    "service.stories",
    "service.likeness",
    "service.recluster",
    "service.regroup",
    "service.bonds",
    "service.reconcile",
    "service.plan",
    "service.timeline",
}
DECISIONS |= {"service.telling", "service.explain", "service.model", "service.webhooks", "service.limits"}
OUTSIDE_OF_DECISIONS = {
    *("service.store", "service.api", "service.desk", "service.settings", "service.telemetry"),
    *("sqlalchemy", "fastapi", "starlette", "httpx", "time", "datetime", "random", "os", "pathlib"),
}

# Libraries with a home: these modules may use them, and `TYPE_ONLY` may name their types.
HOMES: dict[str, set[str]] = {
    "faiss": {"embeddings.slices", "embeddings.training"},
    "numba": {"embeddings.compiled"},
    "sentence_transformers": {"embeddings.encoder", "embeddings.training"},
    "sklearn": {"embeddings.training", "service.metrics"},
    "sqlalchemy": {
        "service.store",
        "service.desk",
        "service.readonly",
        "service.api.desk",
        "service.api.edits",
        "service.api.keys",
        "service.api.webhooks",
    },
    "alembic": {"service.store"},
    "fastapi": {"service.api", "service.app"},
    "starlette": {"service.api"},
    "uvicorn": {"service.server"},
    "rich": {"service.console", "service.bars"},
    "typer": {"service.cli"},
    "distributed": {"service.distributed"},
    "pyarrow": {"service.archive"},
}
TYPE_ONLY: dict[str, set[str]] = {
    "sqlalchemy": {
        "service.ingest",
        "service.copying",
        "service.seen",
        "service.rebuild",
        "service.reembed",
        "service.similar",
        "service.check",
        "service.transfer",
        "service.learned",
        "service.editing",
        "service.reclustering",
        "service.stored_vectors",
        "service.archive",
        "service.shift",
        "service.watch",
        "service.editorial",
        "service.nightly",
        "service.openings",
        "service.courier",
        "service.keyring",
        "service.issuing",
        "service.locksmith",
    },
    "starlette": {"service.app", "service.door", "service.guard", "service.server"},
}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "Markup"),
    *("torch.load", "os.system", "os.popen"),
}
FORBIDDEN_OPTIONS = {"trust_remote_code", "allow_pickle", "shell"}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module; `for_types` when it stands under `if TYPE_CHECKING`."""

    module: str
    name: str
    for_types: bool


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_name(file): file
    for package in ("service", "embeddings")
    for file in sorted((ROOT / package).rglob("*.py"))
}
TREES = {name: ast.parse(file.read_text(encoding="utf-8"), str(file)) for name, file in FILES.items()}


def inside(module: str, home: str) -> bool:
    return module == home or module.startswith(f"{home}.")


def inside_any(module: str, homes: set[str]) -> bool:
    return any(inside(module, home) for home in homes)


def read_imports(module: str) -> Iterator[Import]:
    """Yield every import, those in functions too; `from package import module` names the module."""
    tree = TREES[module]
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, id(node) in guarded)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield Import(module, full if full in FILES else node.module, id(node) in guarded)


IMPORTS = [one for module in FILES for one in read_imports(module)]


def layer_of(module: str) -> int:
    """Find the most exact entry that holds a module; the packages themselves are empty and belong nowhere."""
    places = [
        (len(home), number)
        for number, (_, homes) in enumerate(LAYERS)
        for home in homes
        if inside(module, home)
    ]
    return max(places)[1] if places else -1


def test_the_code_is_found() -> None:
    """The other tests must not pass because they look at nothing."""
    assert {"service.ingest", "service.store.write", "embeddings.index"} <= FILES.keys()
    assert Import("embeddings.slices", "faiss", for_types=False) in IMPORTS
    assert Import("service.ingest", "sqlalchemy", for_types=True) in IMPORTS


def test_every_module_has_a_layer() -> None:
    homeless = [module for module in FILES if module != "service" and layer_of(module) < 0]
    assert homeless == [], "place these in LAYERS"
    stale = [home for _, homes in LAYERS for home in homes if home not in FILES]
    assert stale == [], "these are gone: take them out of LAYERS"


def test_imports_go_one_way() -> None:
    """A module imports from its own layer and those below; annotations may name what is handed in from above."""
    upward = [
        f"{one.module} imports {one.name}"
        for one in IMPORTS
        if one.name in FILES
        and one.name != "service"
        and not one.for_types
        and layer_of(one.name) > layer_of(one.module)
    ]
    assert upward == []


def test_no_import_cycles() -> None:
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for one in IMPORTS:
        if one.name in FILES and not one.for_types:
            graph[one.module].add(one.name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_embeddings_know_nothing_of_the_service() -> None:
    assert [one for one in IMPORTS if inside(one.module, "embeddings") and inside(one.name, "service")] == []


def test_extraction_stands_alone() -> None:
    """It runs in worker processes: what it imports, each of them loads."""
    strays = [
        one
        for one in IMPORTS
        if inside(one.module, "service.extract")
        and inside_any(one.name, {"service", "embeddings"})
        and not inside(one.name, "service.extract")
    ]
    assert strays == []


def test_decisions_are_pure() -> None:
    """No clock, no chance, no database, no settings, not even as a type; a value may carry a `datetime` as a type."""
    strays = [
        one
        for one in IMPORTS
        if one.module in DECISIONS
        and inside_any(one.name, OUTSIDE_OF_DECISIONS)
        and not (one.name == "datetime" and one.for_types)
    ]
    assert strays == []


@pytest.mark.parametrize("library", HOMES)
def test_each_library_has_its_home(library: str) -> None:
    homes, types = HOMES[library], TYPE_ONLY.get(library, set())
    users = {one.module for one in IMPORTS if inside(one.name, library) and not one.for_types}
    namers = {one.module for one in IMPORTS if inside(one.name, library) and one.for_types}

    assert {module for module in users if not inside_any(module, homes)} == set()
    assert {module for module in namers if not inside_any(module, homes | types)} == set()
    # The lists stay tight: an entry that nobody needs any longer goes.
    assert {home for home in homes if not any(inside(module, home) for module in users)} == set()
    assert types <= namers


def test_statements_stand_in_the_store() -> None:
    makers = {"text", "select", "insert", "update", "delete", "create_engine"}
    taken = {
        module
        for module, tree in TREES.items()
        if not inside(module, "service.store")
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "sqlalchemy"
            and makers & {n.name for n in node.names}
        )
        or (isinstance(node, ast.Attribute) and node.attr == "exec_driver_sql")
    }
    assert taken == set()


def test_nothing_runs_what_it_reads() -> None:
    """No format that runs code when read, no text run as code, no remote code."""
    assert [one for one in IMPORTS if one.name.partition(".")[0] in FORBIDDEN_MODULES] == []
    found = [f"{module}:{line} {what}" for module, tree in TREES.items() for line, what in dangers(tree)]
    assert found == []


def dangers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or called.endswith(".Markup"):
                yield node.lineno, f"calls {called}"
            for option in node.keywords:
                is_off = isinstance(option.value, ast.Constant) and option.value.value is False
                if option.arg in FORBIDDEN_OPTIONS and not is_off:
                    yield node.lineno, f"sets {option.arg}"


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "exec('x = 1')",
        "markupsafe.Markup(title)",
        "SentenceTransformer(name, trust_remote_code=True)",
        "SentenceTransformer(name, trust_remote_code=chosen)",
        "np.load(file, allow_pickle=True)",
        "torch.load(file)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_dangers_are_seen(code: str) -> None:
    assert list(dangers(ast.parse(code)))


def test_safe_code_passes() -> None:
    code = "re.compile('a'); SentenceTransformer(name, trust_remote_code=False); np.load(file, allow_pickle=False)"
    assert list(dangers(ast.parse(code))) == []


def test_pages_escape_everything() -> None:
    """Templates never mark strangers' text as safe."""
    pages = [
        file
        for pattern in ("*.py", "*.html", "*.jinja", "*.j2")
        for file in (ROOT / "service").rglob(pattern)
    ]
    marks = ("|safe", "| safe", "autoescape=False", "autoescape false")
    assert [str(file) for file in pages for mark in marks if mark in file.read_text(encoding="utf-8")] == []
