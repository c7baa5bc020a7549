"""The hands of many machines: the same stages on a Dask cluster, cut into pieces by time.

A piece holds whole partitions of the index, its own rows and every row they may reach, so a worker finds for them exactly
the pairs that one machine with everything in memory finds. Workers read vectors themselves, from the store's folder or
from an archive; a piece whose worker dies is searched again by another.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Client, KilledWorker

from embeddings.similarity import FEATURES
from embeddings.text import TEXT_VERSION
from service.archive import ArchiveVectors
from service.learned import load_models
from service.stage import BATCH, Found, HandsError, Stage, reach_of
from service.store.engine import reaches, reader_engine
from service.stored_vectors import StoreVectors
from service.witness import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.stage import Horizons, Level, Members, Numbers, Vectors
    from service.witness import Nearest

ANSWER_S = 10
TASK_BATCHES = 8
US_AN_HOUR = 3_600_000_000


class ClusterError(HandsError):
    """The Dask cluster cannot do the work; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where workers find what they need: the store, or the folder of an archive, as they see it, and the models.

    `token` names the run, so that no worker takes what an earlier run left in its memory.
    """

    place: Path | str = field(repr=False)  # a URL may hold a password
    is_archive: bool
    model: str
    pair_model: str
    horizons: Horizons
    token: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Members from place `start` to before `end` look for others among those from `first` to before `last`."""

    start: int
    end: int
    first: int
    last: int


class Remote:
    """A Dask cluster that does the work of stages."""

    def __init__(self, client: Client, source: Source) -> None:
        self._client = client
        self._source = source

    @contextmanager
    def open(self, level: Level, members: Members) -> Iterator[_Searching]:
        """Cut the members into pieces; workers read them when they are asked."""
        if self._source.is_archive:
            missing = ArchiveVectors(Path(self._source.place)).missing(members.seqs)
            if missing:
                raise ClusterError(
                    f"The archive lacks {missing:,} of the articles to be compared: it is older than the store. "
                    "Export it anew; nothing was changed."
                )
        yield _Searching(self._client, self._source, level, members)


@contextmanager
def connected(address: str, source: Source) -> Iterator[Remote]:
    """Join the cluster of the scheduler at `address`, and make sure that its workers would decide as this process does.

    Raises:
        ClusterError: it does not answer, has no workers, or they have other versions, models or no access to the data.
    """
    try:
        client = Client(address, timeout=ANSWER_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"The scheduler at {address} does not answer ({type(error).__name__}); nothing was changed. "
            "Start it with `dask scheduler`, or leave --scheduler out."
        ) from error
    with client:
        _check(client, source)
        try:
            yield Remote(client, source)
        except KilledWorker as error:
            raise ClusterError(
                "One piece of the work ended several workers, most likely for want of memory; nothing was changed."
            ) from error


def pieces(level: Level, members: Members, horizons: Horizons) -> list[Piece]:
    """Cut members, in order of time, at the partitions of the index they are searched in."""
    reach = reach_of(level, horizons)
    hours = members.event_us / US_AN_HOUR
    own = np.floor(hours / (reach.partition_days * 24)).astype(np.int64)
    starts = np.flatnonzero(np.diff(own, prepend=own[:1] - 1))
    found = []
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(own)], strict=True):
        first, last = reach.whole(float(hours[start]), float(hours[end - 1]))
        found.append(Piece(start, end, *np.searchsorted(hours, [first, last]).tolist()))
    return found


class _Searching:
    def __init__(self, client: Client, source: Source, level: Level, members: Members) -> None:
        self._client = client
        self._source = source
        self._level = level
        self._pieces = pieces(level, members, source.horizons) if len(members) else []
        # Not scattered: data that a graph holds can be sent again when the worker that had it dies.
        self._members = [
            client.submit(_taken, members.part(piece.first, piece.last), pure=False) for piece in self._pieces
        ]

    def pairs(self, asked: Numbers) -> Iterator[Found]:
        """Yield the pairs that the members at these places find."""
        waiting = []
        for piece, members in zip(self._pieces, self._members, strict=True):
            own = asked[(asked >= piece.start) & (asked < piece.end)] - piece.first
            for start in range(0, len(own), BATCH * TASK_BATCHES):
                part = own[start : start + BATCH * TASK_BATCHES]
                waiting.append(
                    (piece, self._client.submit(_search, *self._where(piece), members, part, pure=False))
                )
        for piece, future in waiting:
            found: Found = future.result()
            future.release()  # type: ignore[no-untyped-call]
            yield found.moved(piece.first)

    def nearest(self, asked: Numbers, groups: Numbers) -> list[Nearest]:
        """Return the nearest member of its group for each member asked."""
        waiting = []
        for piece, members in zip(self._pieces, self._members, strict=True):
            own = asked[(asked >= piece.start) & (asked < piece.end)] - piece.first
            if len(own):
                inside = groups[piece.first : piece.last]
                task = self._client.submit(_nearest, *self._where(piece), members, own, inside, pure=False)
                waiting.append((piece, task))
        return [one.moved(piece.first) for piece, future in waiting for one in future.result()]

    def _where(self, piece: Piece) -> tuple[Source, Level, tuple[int, int]]:
        return self._source, self._level, (piece.first, piece.last)


# --- what is checked --------------------------------------------------------------------------------------------------


def _check(client: Client, source: Source) -> None:
    """Compare every worker with this process.

    Raises:
        ClusterError: they differ, or a worker cannot reach the data.
    """
    if not client.nthreads():  # type: ignore[no-untyped-call]
        raise ClusterError(
            "The scheduler has no workers; start some with `dask worker`. Nothing was changed."
        )
    try:
        found: dict[str, Any] = client.run(facts, source)
    except Exception as error:
        raise ClusterError(
            f"A worker cannot run benang ({type(error).__name__}: {error}); nothing was changed. Workers need the same "
            "version installed with the extra `cluster`, and the data under the same path."
        ) from error
    here = facts(source)
    for worker, there in sorted(found.items()):
        differing = [name for name, value in here.items() if there.get(name) != value]
        if differing:
            raise ClusterError(
                f"The worker {worker} differs from this machine in {', '.join(differing)}; nothing was changed. Install "
                "the same version of benang and its locked libraries on both."
            )


def facts(source: Source) -> dict[str, str]:
    """Return what must be the same wherever one run is worked on."""
    models = load_models(source.model, source.pair_model)
    return {
        "text version": str(TEXT_VERSION),
        "features": ",".join(FEATURES),
        "models": models.name,
        "faiss": version("faiss-cpu"),
        "numba": version("numba"),
        "numpy": np.__version__,
        "data": str(reaches(source.place)),
    }


# --- on a worker ------------------------------------------------------------------------------------------------------

_lock = threading.Lock()
_stages: dict[tuple[str, Level, tuple[int, int]], Stage] = {}


def _taken(members: Members) -> Members:
    return members


def _search(source: Source, level: Level, place: tuple[int, int], members: Members, asked: Numbers) -> Found:
    with _lock:  # a stage is searched from one thread at a time
        stage = _stage(source, level, place, members)
        found = [stage.search(batch) for batch in stage.batches(asked)]
    left, right, probability, witnesses = zip(*found, strict=True)
    return Found(np.concatenate(left), np.concatenate(right), np.concatenate(probability), joined(witnesses))


def _nearest(
    source: Source,
    level: Level,
    place: tuple[int, int],
    members: Members,
    asked: Numbers,
    groups: Numbers,
) -> list[Nearest]:
    with _lock:
        stage = _stage(source, level, place, members)
        return [one for batch in stage.batches(asked) for one in stage.nearest(batch, groups)]


def _stage(source: Source, level: Level, place: tuple[int, int], members: Members) -> Stage:
    """Return a piece in memory; the one before it makes room."""
    key = (source.token, level, place)
    if key not in _stages:
        _stages.clear()
        models = load_models(source.model, source.pair_model)
        _stages[key] = Stage(level, members, vectors_of(source), models, source.horizons)
    return _stages[key]


def vectors_of(source: Source) -> Vectors:
    """Return the vectors of a source, as this machine reaches it."""
    if source.is_archive:
        return ArchiveVectors(Path(source.place))
    return StoreVectors(reader_engine(source.place), load_models(source.model, source.pair_model))
