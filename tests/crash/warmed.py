"""What processes to be killed need, imported and compiled, for the server they are forked off: no store, and one thread."""

from pathlib import Path

import feeder  # noqa: F401
import nightworker  # noqa: F401

from embeddings.warm import warm_up

warm_up()
assert len([*Path("/proc/self/task").iterdir()]) == 1, "what is forked off would lack a thread"
