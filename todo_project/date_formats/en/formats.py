"""How the admin writes times, in place of Django's “Nov. 21, 2026, 1:20 a.m.”."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i:s e"
