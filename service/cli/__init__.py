"""The command line: arguments in, `service` called, something readable out."""

# In this order the commands stand in the help.
from service.cli import running  # isort: split
from service.cli import reading  # isort: split
from service.cli import nights  # isort: split
from service.cli import editors  # isort: split
from service.cli import learning
from service.cli.options import app

__all__ = ["app", "editors", "learning", "main", "nights", "reading", "running"]


def main() -> None:
    """Run the command line."""
    app()
