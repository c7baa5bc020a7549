"""A process that has a store's vectors made anew, and kills itself at one moment of it.

    reembedder.py FOLDER DIMENSION MOMENT NTH

The moments: `part` (the NTH part is written), `statement` (the NTH statement after the first part), `commit` (before it), `done`
(right after it).
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import Engine, event
from wire import models

from service import reembed
from service.settings import Settings
from service.store import sqlite
from service.store.engine import checkpoint


def work(folder: Path, dimension: int, moment: str, nth: int) -> None:
    left = count(nth, -1)
    reembed.BATCH = 8
    sqlite.CACHE_KIB = 64  # so that what is not committed yet stands in the log already

    def die(*_: Any) -> None:
        if next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    heard = count()

    def progress(_done: int, _total: int) -> None:
        if moment == "part":
            die()
        elif next(heard) == 0 and moment != "done":
            event.listen(Engine, "commit" if moment == "commit" else "after_cursor_execute", die)

    with patch("service.reembed.checkpoint", die if moment == "done" else checkpoint):
        reembed.reembed(Settings(data=folder), models=models(dimension), progress=progress)


if __name__ == "__main__":
    folder, dimension, moment, nth = sys.argv[1:]
    work(Path(folder), int(dimension), moment, int(nth))
