"""The fault bench: each promise of ``docs/reliability.md``, played for real. ``make test-faults``."""

import os

#: Outages of a minute, and as many rounds as the promises speak of: ``make test-faults LONG=1``.
LONG = bool(os.environ.get("LONG"))
