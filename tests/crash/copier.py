"""A process that makes or restores a backup, and kills itself at one moment of it.

    copier.py backup|restore DATA FILE MOMENT NTH

The moments: `copied` (the NTH step of copying), `checked` (the copy is whole, nothing else is done), `aside` (the store that
is replaced has its second name), `named` (the new one has its name, its folder is not synced).
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from service import backup
from service.store import copying


def work(what: str, data: Path, file: Path, moment: str, nth: int) -> None:
    left = count(nth, -1)
    copying.PAGES = 1

    def die(*_: Any) -> None:
        if next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(function: Any) -> Any:
        def dying(*given: Any) -> Any:
            found = function(*given)
            die()
            return found

        return dying

    if moment == "checked":
        copying.examine = after(copying.examine)
    elif moment == "aside":
        copying.set_aside = after(copying.set_aside)
    elif moment == "named":
        Path.replace = after(Path.replace)  # type: ignore[method-assign]
    progress = die if moment == "copied" else lambda *_: None
    if what == "backup":
        backup.back_up(data, file, keep=None, progress=progress)
    else:
        backup.restore(file, data, replace=True, progress=progress)


if __name__ == "__main__":
    what, data, file, moment, nth = sys.argv[1:]
    work(what, Path(data), Path(file), moment, int(nth))
