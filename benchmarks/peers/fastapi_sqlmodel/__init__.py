"""FastAPI and SQLModel on asyncpg, after the tutorials of both: ``response_model``, a session for each request."""
