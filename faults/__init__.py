"""The fault bench: each promise of ``docs/reliability.md``, played for real. ``make test-faults``."""
