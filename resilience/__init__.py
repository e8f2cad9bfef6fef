"""The scenarios behind ``docs/reliability.md``, with real faults: ``make test-faults``."""
