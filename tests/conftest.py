"""What every test starts from."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A test that sets up logging on a stream of its own leaves no closed stream behind."""
    yield
    structlog.reset_defaults()
