"""What every test starts from."""

import os
from collections.abc import Iterator

import places
import pytest
import scipy.optimize  # noqa: F401  the service loads it when a night first matches; no deadline of Hypothesis shall count that
import structlog

pytest_plugins = ["editors"]

os.environ.pop("BENANG_STORE", None)  # whoever has a store of their own there keeps it as it is


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the database is not what is looked at, one is enough for `make test`; the other is for the slow tests."""
    for item in items:
        if item.get_closest_marker("slow_on_postgresql") and "postgresql" in item.nodeid:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A test that sets up logging on a stream of its own leaves no closed stream behind."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def server() -> Iterator[places.Server]:
    """A PostgreSQL server for the whole session."""
    if not places.has_server():
        pytest.skip(places.NO_SERVER)
    with places.server_of_the_session() as started:
        yield started


@pytest.fixture(scope="module", params=places.KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database under a test: stores lie in its folders, or on a PostgreSQL server instead of them."""
    with places.using(None if request.param == "sqlite" else request.getfixturevalue("server")):
        yield request.param


@pytest.fixture(autouse=True)
def _place(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that do not ask for `database` have their stores in folders; a database that a test made goes with it."""
    with places.using(places.current() if "database" in request.fixturenames else None):
        server = places.current()
        before = set() if server is None else set(server.made)
        yield
        if server is not None:
            server.drop(server.made - before)
