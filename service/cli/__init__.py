"""The command line: arguments in, `service` called, something readable out."""

# isort: off
# In this order the commands stand in the help.
from service.cli import running
from service.cli import reading
from service.cli import nights
from service.cli import keeping
from service.cli import editors
from service.cli import learning
from service.cli import stores
from service.cli import keys
from service.cli.options import app
# isort: on

__all__ = ["app", "editors", "keeping", "keys", "learning", "main", "nights", "reading", "running", "stores"]


def main() -> None:
    """Run the command line."""
    app()
