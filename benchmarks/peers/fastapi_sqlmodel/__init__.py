"""FastAPI and SQLModel on asyncpg, as in their tutorials: ``response_model``, and a session for each request."""
