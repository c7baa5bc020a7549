"""Stores as earlier schemas kept them, as SQL in `data/`: `python tests/old_data.py` writes those that are not there yet.

Each holds the same history: a fire told twice and copied, a flood with a second report that an editor joined to it, an edit
and a deletion. A file is written once, by the version whose schema is the newest, and then stays as it is.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import MetaData, insert, select
from wire import FIRE, FIRE_RETOLD, FLOOD, OUTLETS, article, models

from service import editing
from service.desk import Desk
from service.editing import Editor
from service.settings import Settings
from service.store import tables
from service.store.engine import known_schemas, migrate, writer_engine
from service.store.sqlite import FILE
from service.telemetry import Metrics

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from service.model import Article, Outcome

DATA = Path(__file__).parent / "data"
PATIENCE_S = 60
_DAM = (
    "Bendungan Wiralaga dinyatakan aman setelah pemeriksaan tim ahli, kata juru bicara badan penanggulangan bencana. "
    "Pintu air dibuka bertahap sejak Sabtu pagi. Warga di hilir diminta tetap waspada karena hujan masih turun di "
    "kawasan hulu sungai. Debit air tercatat turun perlahan, dan pemeriksaan diulang setiap enam jam oleh petugas jaga."
)
FIRST, COPY, RETOLD, FLOODED, DAM, GONE = (
    article("api", "Kebakaran Pasar Rengasdengkul", FIRE),
    article("salinan", "Kebakaran Pasar Rengasdengkul", FIRE, source=OUTLETS[1], hours=1),
    article("api-lagi", "Puluhan Kios Pasar Rengasdengkul Terbakar", FIRE_RETOLD, source=OUTLETS[2], hours=2),
    article("banjir", "Sungai Citamiang Meluap", FLOOD, hours=3),
    article("bendungan", "Bendungan Wiralaga Dinyatakan Aman", _DAM, source=OUTLETS[3], hours=4),
    article(
        "batal",
        "Pengumuman Ditarik",
        "Pengumuman ini ditarik oleh redaksi karena keliru sama sekali.",
        hours=5,
    ),
)
EDITED = replace(FLOODED, text=f"{FLOOD} Bantuan pertama tiba Minggu siang.")
LATER = article("api-esok", "Pedagang Pasar Rengasdengkul Menempati Lapangan", FIRE_RETOLD[60:], hours=9)


def live_through(desk: Desk) -> None:
    """Let it all happen."""

    def post(*items: Article) -> list[Outcome]:
        return desk.submit(items).result(PATIENCE_S)

    *_, flooded, dam, gone = post(FIRST, COPY, RETOLD, FLOODED, DAM, GONE)
    one, other = flooded.placement.cluster_id, dam.placement.cluster_id

    def join(connection: Connection, now_us: int) -> editing.Edited:
        return editing.merge(connection, "cluster", one, other, Editor("redaksi", "satu peristiwa", now_us))

    desk.edit(join).result(PATIENCE_S)
    post(EDITED)
    desk.delete(gone.id).result(PATIENCE_S)


def write_as(folder: Path, schema: str, file: Path) -> None:
    """Write the store in `folder` as `schema` would have kept it."""
    with tempfile.TemporaryDirectory() as name:
        new, old = writer_engine(folder), writer_engine(Path(name))
        migrate(old, schema)
        with new.connect() as source, old.begin() as target:
            known = MetaData()
            known.reflect(target)
            waiting = set(source.execute(select(tables.unsettled)).scalars())
            for table in tables.metadata.sorted_tables:
                if table.name not in known.tables:
                    continue
                there = known.tables[table.name]
                for row in source.execute(select(table).order_by(*table.primary_key)).mappings():
                    values = {key: value for key, value in row.items() if key in there.c}
                    if "provisional" in there.c:
                        values["provisional"] = int(row["seq"] in waiting)
                    target.execute(insert(there), values)
        new.dispose()
        old.dispose()
        with closing(sqlite3.connect(Path(name) / FILE)) as connection:
            file.write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")


def main() -> None:
    """Write what is missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Desk.open(Settings(data=folder), Metrics(), models=models()) as desk:
            live_through(desk)
        for schema in known_schemas():
            file = DATA / f"store_{schema}.sql"
            if not file.exists():
                write_as(folder, schema, file)


if __name__ == "__main__":
    main()
