"""How often somebody may ask: token buckets, each kept as the one moment at which it is full again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BUCKETS = 10_000
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """One token every `every_ns` nanoseconds, into a bucket that holds `burst` of them."""

    every_ns: int
    burst: int

    @classmethod
    def of(cls, per_s: float, burst_s: float) -> Self | None:
        """Make the rate of `per_s` a second, `burst_s` seconds' worth at once (at least one); None for 0."""
        if per_s <= 0:
            return None
        return cls(max(1, round(_NS / per_s)), max(1, round(per_s * burst_s)))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one request: allowed when it need not wait; times in nanoseconds, `full_at` by the clock."""

    full_at: int
    remaining: int
    wait_ns: int

    def headers(self, rate: Rate, now_ns: int) -> dict[str, str]:
        """Tell a client how much is left, and when to come back if nothing is; whole seconds, never too few."""
        told = {
            "RateLimit-Limit": str(rate.burst),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(_seconds(self.full_at - now_ns)),
        }
        return {**told, "Retry-After": str(_seconds(self.wait_ns))} if self.wait_ns else told


def take(full_at: int, now_ns: int, rate: Rate) -> Taken:
    """Take a token from the bucket that is full again at `full_at`; an empty one stays as it is."""
    missing_ns = min(max(full_at - now_ns, 0), rate.burst * rate.every_ns)
    left_ns = rate.burst * rate.every_ns - missing_ns
    if left_ns < rate.every_ns:
        return Taken(now_ns + missing_ns, 0, rate.every_ns - left_ns)
    return Taken(now_ns + missing_ns + rate.every_ns, left_ns // rate.every_ns - 1, 0)


class Buckets:
    """A bucket for each name; of more than `most` the one that was not asked for longest is taken for full."""

    def __init__(self, rate: Rate, *, clock_ns: Callable[[], int], most: int = MAX_BUCKETS) -> None:
        self.rate = rate
        self._clock_ns = clock_ns
        self._most = most
        self._full_at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: str) -> tuple[Taken, dict[str, str]]:
        """Take a token of this name; return what became of it, and the headers that tell."""
        now = self._clock_ns()
        taken = take(self._full_at.pop(name, now), now, self.rate)
        self._full_at[name] = taken.full_at
        if len(self._full_at) > self._most:
            del self._full_at[next(iter(self._full_at))]
        return taken, taken.headers(self.rate, now)


def _seconds(nanoseconds: int) -> int:
    return math.ceil(nanoseconds / _NS)
