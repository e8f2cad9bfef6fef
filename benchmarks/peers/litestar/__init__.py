"""Litestar and SQLAlchemy on asyncpg, as in Litestar's documentation: its SQLAlchemy plugin, and msgspec for bodies."""
