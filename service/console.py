"""What a person sees in the terminal.  Titles come from strangers: they are printed as text, never as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from service.display import display_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from service.check import Finding
    from service.demo.show import Demo
    from service.evaluate import Report
    from service.fitted import Fitted
    from service.loading import Load
    from service.metrics import Score

MAX_REJECTED_SHOWN = 10
MAX_CHANGES_SHOWN = 5
SHOWN_NEW = 5

_out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def plain(text: str, style: str = "") -> Text:
    """Return strangers' text fit for a terminal: no markup, no control or direction-changing characters."""
    return Text(display_form(text), style=style)


def complain(message: str) -> None:
    """Say what went wrong, on standard error."""
    err.print(Text("benang: ", style="bold red") + plain(message))


def say(message: str) -> None:
    """Say a sentence."""
    _out.print(plain(message))


def show_load(load: Load) -> None:
    """Show what became of a load."""
    facts = load.as_dict()
    table = Table(
        title=f"{facts['articles']:,} articles in {facts['seconds']:,} s",
        show_header=False,
        title_justify="left",
    )
    table.add_column(justify="right")
    table.add_column()
    for name, count in sorted(facts["statuses"].items()):
        table.add_row(f"{count:,}", name)
    for name, count in sorted(facts["relations"].items()):
        table.add_row(f"{count:,}", f"  new, {name.replace('_', ' ')}")
    table.add_row(f"{facts['clusters_opened']:,}", "clusters opened")
    table.add_row(f"{facts['articles_per_second']:,}", "articles a second, decided and durable")
    _out.print(table)
    for item in load.tally.rejected[:MAX_REJECTED_SHOWN]:
        err.print(
            Text("refused ", style="red") + plain(f"{item.place}: {item.code} {'; '.join(item.errors)}")
        )
    more = load.tally.statuses["rejected"] - MAX_REJECTED_SHOWN
    if more > 0:
        err.print(f"… and {more:,} more refused; --rejected FILE keeps them.")


_CHANGES = (
    ("clusters_merged", "clusters merged into another"),
    ("clusters_split", "clusters split off"),
    ("articles_moved", "articles moved, copies among them"),
    ("clusters_moved", "clusters moved to another story"),
    ("stories_merged", "stories merged into another"),
    ("stories_split", "stories split off"),
)


def show_night(night: dict[str, Any]) -> None:
    """Show what a night changed, or would change: counts, and the first of each kind."""
    diff = night["diff"]
    title = "Nothing was changed; this is what a run would do" if night["dry_run"] else "The night is done"
    _out.print(f"{title}  ·  {night['id']}")
    table = Table(show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{diff['articles']:,}", "articles looked at")
    table.add_row(f"{diff['articles_unchanged']:,}", "of them stay where they are")
    for name, said in _CHANGES:
        if diff["counts"][name]:
            table.add_row(f"{diff['counts'][name]:,}", said)
    table.add_row(f"{diff['clusters']:,}", "clusters")
    table.add_row(f"{diff['stories']:,}", "stories")
    _out.print(table)
    for name, said in _CHANGES:
        found = diff[name]
        if found:
            _out.print(Text(said, style="cyan"))
        for one in found[:MAX_CHANGES_SHOWN]:
            line = "  ".join(f"{key.replace('_', ' ')} {value}" for key, value in one.items() if key != "id")
            _out.print(plain(f"  {one['id']}  {line}"), style="dim")
        if len(found) > MAX_CHANGES_SHOWN:
            _out.print(
                f"  … and {diff['counts'][name] - MAX_CHANGES_SHOWN:,} more; --json shows them.", style="dim"
            )


def show_edit(word: dict[str, Any]) -> None:
    """Show an editor's word that was taken, or taken back."""
    if word["undone_at"] is not None:
        _out.print(f"Undone: the {word['kind']} of {word['group_id']} and {word['other_id']}.")
    elif word["kind"] == "merge":
        _out.print(f"{word['other_id']} is part of {word['group_id']} now, and its ID leads there.")
    else:
        _out.print(f"{word['other_id']} was split off {word['group_id']}.")
    _out.print(f"`benang undo {word['id']}` takes it back." if word["undone_at"] is None else "", style="dim")


def show_history(told: dict[str, Any]) -> None:
    """Show what became of a group, one change a line."""
    if told["current_id"] != told["id"]:
        _out.print(f"{told['id']} was merged: it is {told['current_id']} now.")
    if not told["items"]:
        _out.print("No nightly run and no editor has touched it.")
    for one in told["items"]:
        names = [one[name] for name in ("article_id", "cluster_id", "story_id", "other_id") if one[name]]
        line = Text(f"{one['at'][:19]}  ", style="dim") + Text(f"{one['kind']:16}", style="cyan")
        line += plain("  " + "  ".join(names))
        if one["edit"] is not None:
            line += Text("  by ") + plain(one["edit"]["actor"]) + Text("  ") + plain(one["edit"]["note"])
        _out.print(line)


def show_new_key(key: dict[str, Any]) -> None:
    """Show a key that was created; what opens stands alone on its line."""
    until = "until it is revoked" if key["expires_at"] is None else f"until {key['expires_at'][:16]}"
    _out.print(Text(f"{key['id']}  {key['scope']}, {until}  ", style="dim") + plain(key["name"]))
    _out.print(Text(key["secret"]), soft_wrap=True)
    err.print(
        "It cannot be shown again. Callers send it as `Authorization: Bearer …`; whoever sends no key is refused from now on.",
        style="dim",
    )


def show_keys(items: Sequence[dict[str, Any]]) -> None:
    """Show all keys, one a line."""
    if not items:
        _out.print(
            "No keys yet: whoever reaches the service may do everything. `benang keys create` makes one."
        )
        return
    table = Table(box=None, pad_edge=False)
    for name in ("key", "scope", "status", "created", "expires"):
        table.add_column(name, no_wrap=True)
    table.add_column("name", overflow="fold")
    for item in items:
        expires = "" if item["expires_at"] is None else item["expires_at"][:10]
        row = (item["id"], item["scope"], item["status"], item["created_at"][:10], expires)
        table.add_row(*row, plain(item["name"]))
    _out.print(table)


def show_trail(items: Sequence[dict[str, Any]]) -> None:
    """Show what was done, one act a line."""
    if not items:
        _out.print("Nothing yet that the trail notes.")
    for one in items:
        line = Text(f"{one['at'][:19]}  ", style="dim") + Text(f"{one['action']:21}", style="cyan")
        _out.print(line + plain(f"  {one['target']}  by {one['caller']}"), soft_wrap=True)


def show_stories(items: Sequence[dict[str, Any]]) -> None:
    """Show a list of stories, each with its ID under its title."""
    if not items:
        _out.print("No stories yet.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("last", no_wrap=True)
    for name in ("events", "articles", "sources"):
        table.add_column(name, justify="right")
    table.add_column("story", overflow="fold", min_width=30)
    for item in items:
        table.add_row(
            item["last_published_at"][:10],
            str(item["cluster_count"]),
            str(item["article_count"]),
            str(item["independent_source_count"]),
            plain(item["title"]) + Text(f"\n{item['id']}", style="cyan"),
        )
    _out.print(table)


def show_story(head: dict[str, Any], timeline: dict[str, Any]) -> None:
    """Show a story as a tree: events in order of time, reports under them, copies under those."""
    title = plain(head["title"])
    title.stylize("bold")
    if head.get("keywords"):
        title += Text("\n") + Text.assemble(plain(", ".join(head["keywords"])), style="dim")
    tree = Tree(title)
    for event in timeline["events"]:
        _add_event(tree, event)
    _out.print(tree)
    _out.print(
        f"{head['cluster_count']} events, {head['article_count']} articles, {head['copy_count']} of them copies, "
        f"{head['independent_source_count']} independent sources  ·  {head['id']}",
        style="dim",
    )


def _add_event(tree: Tree, event: dict[str, Any]) -> None:
    line = Text(f"{event['date'][:10]}  ", style="cyan") + plain(event["headline"])
    if event["what_is_new"]:
        line += Text("  + ", style="green") + plain(", ".join(event["what_is_new"][:SHOWN_NEW]))
    branch = tree.add(line)
    for report in event["reports"]:
        leaf = branch.add(plain(f"{report['source']}  ", "dim") + plain(report["title"]))
        for copy in report.get("copies", ()):
            label = f"{copy['relation'].replace('_', ' ')} · {copy['source']}  "
            leaf.add(plain(label, "yellow") + plain(copy["title"]))


def show_explanation(article: dict[str, Any], told: dict[str, Any]) -> None:
    """Show why an article is where it is, one sentence a line."""
    _out.print(plain(article["title"], "bold"))
    _out.print(plain(f"{article['source']}  ·  {article['published_at']}", "dim"))
    for name in ("cluster", "story"):
        if told[name] is None:
            continue
        _out.print(Text(f"\n{name}  ", style="cyan") + Text(told[f"{name}_id"], style="dim"))
        for sentence in told[name]["sentences"]:
            _out.print(plain(sentence))


def show_report(name: str, report: Report) -> None:
    """Show the scores of a replay."""
    table = Table(
        title=f"{name}: {report.articles:,} articles at {report.articles_per_second:,.0f}/s",
        title_justify="left",
    )
    table.add_column("")
    for column in ("online P / R / F1", "nightly P / R / F1"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = (
        ("clusters, BCubed", "bcubed"),
        ("clusters, pairwise", "pairwise"),
        ("clusters, CEAF-e", "ceaf_e"),
        ("stories, BCubed, all articles", "stories_all"),
        ("stories, BCubed, articles with a story", "stories_labelled"),
    )
    for label, metric in rows:
        table.add_row(label, *(_parts(getattr(one, metric)) for one in (report.online, report.nightly)))
    table.add_row("copies, pairs", _parts(report.copies))
    _out.print(table)
    for when, scores in (("online", report.online), ("nightly", report.nightly)):
        _out.print(
            f"{when}: AMI {scores.ami:.3f}  ·  clusters {scores.events:,} (gold {report.events:,})  ·  singletons "
            f"{scores.singletons:.1%} of articles (gold {report.singletons:.1%})"
        )
    _out.print(f"BCubed F1 of all singletons {report.bcubed_all_singletons:.3f}")


def _parts(score: Score) -> str:
    return f"{score.precision:.3f} / {score.recall:.3f} / {score.f1:.3f}"


def show_fit(fitted: Fitted, rows: Iterable[tuple[str, str, str]], folder: Path) -> None:
    """Show what training brought: figures before and after, and whether the models were written."""
    table = Table(
        title=f"{fitted.learned_from:,} articles to learn from, {fitted.held_out:,} held out",
        title_justify="left",
    )
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for row in rows:
        table.add_row(*row)
    _out.print(table)
    if not fitted.story_is_new:
        _out.print(
            f"The story model stays as it is ({fitted.story_pairs:,} pairs of one story to learn from)."
        )
    if fitted.is_better:
        _out.print(plain(f"Written to {folder}. Set BENANG_PAIR_MODEL={folder} to use it."))
    else:
        _out.print("Not written: it does no better than the models in use.")


def show_demo(result: Demo) -> None:
    """Show the stories a demo found."""
    for head, timeline in result.stories:
        show_story(head, timeline)
        _out.print()
    facts = result.as_dict()
    _out.print(
        f"{facts['articles']} articles posted one by one to {result.url}: {facts['clusters']} clusters, "
        f"{facts['copies']} copies, {facts['stories']} stories, {facts['sagas']} of them with several events."
    )


def show_findings(findings: Sequence[Finding]) -> None:
    """Show what a check found."""
    for finding in findings:
        mark = Text("ok   ", style="green") if finding.ok else Text("WRONG", style="bold red")
        _out.print(mark + plain(f"  {finding.name}: {finding.detail}"))
