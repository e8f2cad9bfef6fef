"""Litestar and SQLAlchemy on asyncpg, as in Litestar's documentation.

It uses Litestar's SQLAlchemy plugin, and msgspec for bodies.
"""
