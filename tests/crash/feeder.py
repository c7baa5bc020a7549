"""A writer to be killed: puts seeded news into a store and prints each ID once its future has resolved.

`python feeder.py FOLDER FIRST` starts at article FIRST and goes on to the end.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from road import demo, models

from service.desk import Desk
from service.settings import Settings
from service.telemetry import Metrics

if __name__ == "__main__":
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    with Desk.open(Settings(data=folder), Metrics(), models=models()) as desk:
        for article in demo()[first:]:
            (outcome,) = desk.submit([article]).result()
            print(outcome.article.external_id, outcome.id, flush=True)
