"""The choice of a group against a brute-force oracle that counts in fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from service.assign import Choice, Rule, Voice, choose, event_rule, story_rule

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

# Sizes, depths and probabilities whose sums and means are exact in floats: every tie is a true tie.
_POWERS = st.sampled_from([1, 2, 4, 8])
_SIXTEENTHS = st.integers(0, 16).map(lambda part: part / 16)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[Voice], dict[int, int], Rule]:
    sizes = draw(st.dictionaries(st.integers(0, 5), _POWERS, max_size=5))
    voices = []
    for group, size in sizes.items():
        said = draw(st.lists(_SIXTEENTHS, min_size=0, max_size=size))
        voices += [(group, probability) for probability in said]
    order = draw(st.permutations(voices))
    rows = draw(st.permutations(range(len(voices))))
    cut = draw(st.integers(1, 15)) / 16
    rule = Rule(cut, draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    return [Voice(row, *voice) for row, voice in zip(rows, order, strict=True)], sizes, rule


def _support(group: int, voices: Sequence[Voice], size: int, rule: Rule) -> Fraction:
    """Best voice and mean of the best few, with each silent member written out as a 0."""
    said = sorted((Fraction(voice.probability) for voice in voices if voice.group == group), reverse=True)
    members = said + [Fraction(0)] * (size - len(said))
    best = members[: rule.depth]
    weight = Fraction(rule.mean_weight)
    return (1 - weight) * said[0] + weight * sum(best) / len(best)


def _expected(voices: Sequence[Voice], sizes: dict[int, int], rule: Rule) -> Choice:
    supports = {
        voice.group: _support(voice.group, voices, sizes[voice.group], rule) for voice in reversed(voices)
    }
    if not supports:
        return Choice(None, 0.0, None, None)
    best = max(supports.values())
    first = {voice.group: voice.row for voice in sorted(voices, key=lambda voice: -voice.row)}
    winner = min((group for group, support in supports.items() if support == best), key=first.__getitem__)
    others = {group: support for group, support in supports.items() if group != winner}
    second = max(others.values(), default=Fraction(0))
    spoken = [voice for voice in voices if voice.group == winner]
    loudest = max(voice.probability for voice in spoken)
    return Choice(
        winner if best >= Fraction(rule.cut) else None,
        round(float(best), 6),
        min((voice for voice in spoken if voice.probability == loudest), key=lambda voice: voice.row),
        min(
            (group for group, support in others.items() if support == second),
            key=first.__getitem__,
            default=None,
        ),
    )


@given(_cases())
def test_choice_equals_the_oracle(case: tuple[list[Voice], dict[int, int], Rule]) -> None:
    """Group, support, nearest voice and runner-up are those of the written-out definition, ties to the group of the lowest row."""
    voices, sizes, rule = case

    assert _expected(voices, sizes, rule) == choose(voices, sizes.__getitem__, rule)


@given(_cases(), st.randoms(use_true_random=False))
def test_order_of_voices_is_without_effect(
    case: tuple[list[Voice], dict[int, int], Rule], chance: random.Random
) -> None:
    """The same voices in another order make the same choice."""
    voices, sizes, rule = case
    shuffled = list(voices)
    chance.shuffle(shuffled)

    assert choose(voices, sizes.__getitem__, rule) == choose(shuffled, sizes.__getitem__, rule)


def test_silent_members_count_as_zero() -> None:
    """One voice of 0.8 carries a group of one, but not a group of four."""
    voices = [Voice(0, 7, 0.8)]

    assert Choice(7, 0.8, voices[0], None) == choose(voices, {7: 1}.__getitem__, event_rule(0.6))
    assert Choice(None, 0.5, voices[0], None) == choose(voices, {7: 4}.__getitem__, event_rule(0.6))


def test_members_beyond_the_depth_are_not_asked_for() -> None:
    """A group of a hundred with five loud voices is as well supported as a group of five."""
    voices = [Voice(row, 1, 0.75) for row in range(5)]

    assert choose(voices, {1: 5}.__getitem__, event_rule(0.3)) == choose(
        voices, {1: 100}.__getitem__, event_rule(0.3)
    )
    assert choose(voices, {1: 100}.__getitem__, event_rule(0.3)).support == 0.75


def test_support_at_the_cut_joins_and_below_it_opens() -> None:
    """The cut itself is enough; a millionth less is not, and the refused group is still told."""
    assert choose([Voice(3, 2, 0.33)], {2: 1}.__getitem__, event_rule(0.33)).group == 2

    refused = choose([Voice(3, 2, 0.329999)], {2: 1}.__getitem__, event_rule(0.33))

    assert Choice(None, 0.329999, Voice(3, 2, 0.329999), None) == refused


def test_nobody_speaks() -> None:
    """Without candidates a group is opened."""
    assert Choice(None, 0.0, None, None) == choose([], lambda _group: 1, event_rule(0.33))


def test_equal_support_goes_to_the_group_of_the_lowest_row() -> None:
    """Group numbers are handed out anew at a restart, rows keep their order."""
    voices = [Voice(1, 9, 0.5), Voice(2, 4, 0.5), Voice(3, 6, 0.4)]

    assert Choice(9, 0.5, voices[0], 4) == choose(voices, {4: 1, 6: 1, 9: 1}.__getitem__, event_rule(0.3))


def test_a_story_is_chosen_by_its_best_voice() -> None:
    """Sagas are chains: many weak voices do not outweigh one strong one."""
    voices = [Voice(1, 0, 0.5), Voice(2, 0, 0.5), Voice(3, 0, 0.5), Voice(4, 1, 0.6)]

    assert Choice(1, 0.6, voices[3], 0) == choose(voices, lambda _story: 1, story_rule(0.3))
