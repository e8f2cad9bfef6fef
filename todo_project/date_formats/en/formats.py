"""The admin's date formats: ``2026-11-21 01:20:00 UTC`` instead of ``Nov. 21, 2026, 1:20 a.m.``."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i:s e"
