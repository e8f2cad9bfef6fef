"""Django Ninja with this project's own Task model, on this project's own server, granian."""
