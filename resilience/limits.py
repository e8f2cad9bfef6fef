"""The limits in seconds that ``docs/reliability.md`` promises, and the size of each scenario."""

import os

#: Outages of a minute and all rounds of each scenario: ``make test-faults LONG=1``.
LONG_RUN = bool(os.environ.get("LONG"))

CLIENTS = 12
WRITERS = 16

#: Two workers of four threads each handle this many requests at once.
REQUESTS_AT_ONCE = 8

UNAVAILABLE_SECONDS = 1.5
FROZEN_SECONDS = 2.5
RECOVERY_SECONDS = 3.0
HEALTHZ_SECONDS = 0.1

#: ``/readyz`` asks the database once a second, and repeats the answer until then.
READY_SECONDS = 1.5
