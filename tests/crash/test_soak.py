"""P1 to P3, P6: mixed load under a killer ends as it would have ended undisturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.soak import soak

if TYPE_CHECKING:
    from pathlib import Path

MINUTES = 1.5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_same_stories_as_undisturbed(tmp_path: Path) -> None:
    """Articles, copies, clusters and stories, with edits and nights among the words; nothing acknowledged is missing."""
    found = soak(tmp_path, 1, MINUTES)

    assert found.told.kills > 0
    assert len(found.here) > 100
    assert found.here == found.there
    assert (found.missing, found.told.renamed, found.check) == (0, 0, 0)
    assert {status for status in found.told.reads if status.startswith("5")} <= {"503"}
