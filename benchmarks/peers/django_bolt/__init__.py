"""Django-Bolt with this project's own Task model, on Django-Bolt's own server."""
