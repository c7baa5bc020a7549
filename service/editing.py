"""The editors' use case: groups merged and split by a person's word, which every later run obeys, and words taken back.

Each function works inside the caller's transaction; `Edited.applied` is what the window must follow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ulid import ULID

from service.bonds import Whole, contradicted_by, held_with, kept_apart
from service.errors import FieldError, Refused
from service.model import ID_PREFIXES, Reason
from service.plan import Move, Opening, Plan, Proposal
from service.store import edits, snapshot
from service.store.apply import Applied, apply_plan
from service.store.redirect import current_id, standing_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from service.bonds import Word
    from service.store.edits import Level, Member


@dataclass(frozen=True, slots=True)
class Editor:
    """Who says it, why, and when (UTC microseconds)."""

    actor: str
    note: str
    now_us: int


@dataclass(frozen=True, slots=True)
class Edited:
    """An editor's word as the API shows it, and what it changed."""

    word: dict[str, Any]
    applied: Applied


def merge(connection: Connection, level: Level, group_id: str, other_id: str, editor: Editor) -> Edited:
    """Put the group `other_id` into `group_id`, whose ID stays; the other one leads there from now on.

    Raises:
        NotFound: one of them is not there (`Gone`: it was deleted).
        Refused: both are the same, or another word keeps them apart.
    """
    into, gone = (standing_id(connection, level, one) for one in (group_id, other_id))
    if into == gone:
        raise Refused("invalid", [FieldError.of("/other_id", "same_group")])
    ours, theirs = (edits.members_of(connection, level, one) for one in (into, gone))
    word = _word("merge", level, into, gone, ours, theirs)
    standing: list[Word] = [*snapshot.read_edits(connection), *_wholes(connection, level, into, gone)]
    _check(standing, word)
    plan = _merging(connection, standing, level, into, gone, [*ours, *theirs], word["id"])
    return _said(connection, word, plan, editor)


def split(
    connection: Connection, level: Level, group_id: str, leaving: Sequence[str], editor: Editor
) -> Edited:
    """Split `leaving` off a group into one of its own: articles off a cluster, clusters off a story.

    Raises:
        NotFound: the group is not there (`Gone`: it was deleted).
        Refused: one of `leaving` is not inside or is a copy, nothing would stay, or another word holds both together.
    """
    standing = standing_id(connection, level, group_id)
    members = edits.members_of(connection, level, standing)
    named = _named(connection, level, members, leaving)
    theirs = [one for one in members if _part(level, one) in named]
    ours = [one for one in members if _part(level, one) not in named]
    if not ours:
        raise Refused("invalid", [FieldError.of(_pointer(level), "leaves_nothing")])
    new = ID_PREFIXES[level] + str(ULID())
    word = _word("split", level, standing, new, ours, theirs)
    _check(snapshot.read_edits(connection), word)
    return _said(
        connection, word, _splitting(connection, level, standing, new, ours, theirs, word["id"]), editor
    )


def undo(connection: Connection, edit_id: str, editor: Editor) -> Edited:
    """Take an editor's word back, and put its groups as they were before as far as later changes allow.

    Raises:
        NotFound: there is no such word.
        Refused: it was taken back already.
    """
    row = edits.find_edit(connection, edit_id)
    if row["undone_us"] is not None:
        raise Refused("invalid", [FieldError.of("/edit_id", "undone_already")])
    edits.mark_undone(connection, row, actor=editor.actor, at_us=editor.now_us)
    plan = _back(connection, row["level"], row["kind"], row)
    applied = _apply(connection, plan, editor.now_us, edit_id)
    return Edited(edits.edit_row(edits.find_edit(connection, edit_id)), applied)


# --- checks -----------------------------------------------------------------------------------------------------------


def _named(
    connection: Connection, level: Level, members: Sequence[Member], leaving: Sequence[str]
) -> set[str]:
    """Return the parts of a group that `leaving` names, each by the ID it has now."""
    inside = {_part(level, one) for one in members}
    copies = {one.id for one in members if one.copy_of is not None}
    wrong, named = [], set()
    for place, given in enumerate(leaving):
        part = given if level == "cluster" else current_id(connection, given)
        if level == "cluster" and part in copies:
            wrong.append(FieldError.of(f"{_pointer(level)}/{place}", "is_copy"))
        elif part not in inside:
            wrong.append(FieldError.of(f"{_pointer(level)}/{place}", "not_inside"))
        named.add(part)
    if wrong:
        raise Refused("invalid", wrong)
    return named


def _check(standing: Sequence[Word], word: dict[str, Any]) -> None:
    """Refuse a word that cannot hold together with those that stand."""
    new = _as_edit(word)
    broken = contradicted_by([*standing, new])
    if not broken:
        return
    against = [one for one in standing if one.id in broken] or [
        one
        for one in standing
        if one.kind == "merge" and not contradicted_by([*(word for word in standing if word != one), new])
    ]
    raise Refused(
        "contradiction",
        [FieldError.of(f"/edits/{one.id}", "contradicts") for one in against]
        or [FieldError.of("/edits", "contradicts")],
    )


def _as_edit(word: dict[str, Any]) -> snapshot.Edit:
    return snapshot.Edit(*(word[name] for name in ("id", "level", "kind", "these", "those")))


def _wholes(connection: Connection, level: Level, into: str, gone: str) -> list[Whole]:
    """Return what merging two clusters of two stories must not tear: the clusters beside them."""
    if level == "story":
        return []
    sagas = {edits.story_of(connection, one) for one in (into, gone)}
    if len(sagas) == 1:
        return []
    members = [one for saga in sagas for one in edits.members_of(connection, "story", saga)]
    return _parts("story", members)


def _parts(level: Level, members: Sequence[Member]) -> list[Whole]:
    """Return the parts of a group as wholes."""
    parts: dict[str, list[str]] = {}
    for one in members:
        parts.setdefault(_part(level, one), []).append(one.id)
    return [Whole(tuple(ids)) for ids in parts.values()]


def _part(level: Level, member: Member) -> str:
    """Return what of a member an editor names: its cluster in a story, in a cluster the article, or the one it repeats."""
    return member.cluster_id if level == "story" else member.copy_of or member.id


def _pointer(level: Level) -> str:
    return "/article_ids" if level == "cluster" else "/cluster_ids"


# --- what changes -----------------------------------------------------------------------------------------------------


def _merging(
    connection: Connection,
    words: Sequence[Word],
    level: Level,
    into: str,
    gone: str,
    members: Sequence[Member],
    edit_id: str,
) -> Plan:
    reason = _reason(edit_id)
    if level == "story":
        moves = tuple(
            Move(one, gone, into, one, reason)
            for one in dict.fromkeys(
                member.cluster_id for member in edits.members_of(connection, level, gone)
            )
        )
        return Plan(clusters_moved=moves, stories_merged={gone: into})
    first = edits.first_original(connection, [into, gone])
    return replace(
        _in_one_story(connection, words, into, gone, [one.id for one in members], reason),
        moved=tuple(
            Move(one.id, gone, into, one.id, reason)
            for one in members
            if one.cluster_id == gone and one.copy_of is None
        ),
        merged={gone: into},
        heads={into: first},
    )


def _in_one_story(
    connection: Connection,
    words: Sequence[Word],
    into: str,
    gone: str,
    members: Sequence[str],
    reason: Reason,
) -> Plan:
    """Return how two clusters that become one come to one story, with all that words hold there together with them.

    That is the story of `into`, unless words keep them from what stays there; then that of `gone`, else a new one.
    """
    told, other = (edits.story_of(connection, one) for one in (into, gone))
    if told == other:
        return Plan()
    held = held_with(words, "story", members)
    sides = {one: edits.members_of(connection, "story", one) for one in (told, other)}
    stay = {saga: {one.id for one in inside} - held for saga, inside in sides.items()}
    fitting = [saga for saga in sides if not kept_apart(words, "story", held, stay[saga])]
    target = fitting[0] if fitting else ID_PREFIXES["story"] + str(ULID())
    return Plan(
        clusters_moved=tuple(
            Move(cluster_id, saga, target, cluster_id, reason)
            for saga, inside in sides.items()
            if saga != target
            for cluster_id in dict.fromkeys(one.cluster_id for one in inside if one.id in held)
            if cluster_id != gone
        ),
        stories_opened=() if fitting else (Opening(target, told, members[0]),),
        stories_merged={saga: target for saga in sides if saga != target and not stay[saga]},
    )


def _splitting(
    connection: Connection,
    level: Level,
    standing: str,
    new: str,
    ours: Sequence[Member],
    theirs: Sequence[Member],
    edit_id: str,
) -> Plan:
    reason = _reason(edit_id)
    originals = [one for one in theirs if one.copy_of is None]
    if level == "story":
        moves = tuple(
            Move(one, standing, new, one, reason)
            for one in dict.fromkeys(member.cluster_id for member in theirs)
        )
        return Plan(clusters_moved=moves, stories_opened=(Opening(new, standing, originals[0].id),))
    stays = next(one.id for one in ours if one.copy_of is None)
    return Plan(
        moved=tuple(Move(one.id, standing, new, one.id, reason) for one in originals),
        opened=(
            Opening(
                new,
                standing,
                originals[0].id,
                edits.story_of(connection, standing),
                edits.story_reason(connection, standing),
            ),
        ),
        heads={new: originals[0].id, standing: stays},
    )


def _back(connection: Connection, level: Level, kind: str, row: Any) -> Plan:
    """Return the plan that reverses a word, an empty one where later changes or other words leave nothing to reverse."""
    group, other = (current_id(connection, row[name]) for name in ("group_id", "other_id"))
    members = edits.members_of(connection, level, group)
    words: list[Word] = [*snapshot.read_edits(connection)]
    if kind == "split":
        others = edits.members_of(connection, level, other)
        if group == other or not members or not others:
            return Plan()
        words += _wholes(connection, level, group, other)
        if contradicted_by([*words, _as_edit(_word("merge", level, group, other, members, others))]):
            return Plan()
        return _merging(connection, words, level, group, other, [*members, *others], row["id"])
    named = set(json.loads(row["those"]))
    ours = [one.id for one in members if one.id not in named]
    if not ours:
        return Plan()
    held = held_with([*words, *_parts(level, members)], level, ours)
    theirs = [one for one in members if one.id not in held]
    if not theirs:
        return Plan()
    new = ID_PREFIXES[level] + str(ULID())
    stay = [one for one in members if one.id in held]
    return _splitting(connection, level, group, new, stay, theirs, row["id"])


def _word(
    kind: str, level: Level, group_id: str, other_id: str, ours: Sequence[Member], theirs: Sequence[Member]
) -> dict[str, Any]:
    return {
        "id": ID_PREFIXES["edit"] + str(ULID()),
        "level": level,
        "kind": kind,
        "these": tuple(one.id for one in ours),
        "those": tuple(one.id for one in theirs),
        "group_id": group_id,
        "other_id": other_id,
    }


def _said(connection: Connection, word: dict[str, Any], plan: Plan, editor: Editor) -> Edited:
    edit_id = word.pop("id")
    edits.insert_edit(connection, edit_id, at_us=editor.now_us, actor=editor.actor, note=editor.note, **word)
    applied = _apply(connection, plan, editor.now_us, edit_id)
    return Edited(edits.edit_row(edits.find_edit(connection, edit_id)), applied)


def _apply(connection: Connection, plan: Plan, now_us: int, cause: str) -> Applied:
    proposal = Proposal(plan, snapshot.last_seen(connection))
    return apply_plan(connection, proposal, now_us=now_us, cause=cause)


def _reason(edit_id: str) -> Reason:
    return Reason("editor", 1.0, 0.0, None, None, {}, edit_id)
