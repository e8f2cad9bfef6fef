"""FastAPI and SQLModel on asyncpg, as in their tutorials.

Each request has a session, and each endpoint a ``response_model``.
"""
