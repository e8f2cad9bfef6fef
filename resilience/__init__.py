"""The scenarios behind ``docs/reliability.md``, each with real faults. Run them with ``make test-faults``."""
