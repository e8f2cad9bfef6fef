"""The services that this project is measured against, each written as its own documentation would have it.

All keep the same eight fields in the same columns with the same index, check the same lengths, serve the same
endpoints with 2 workers and at most 8 connections each, and log no requests. None has the rest of the contract: no
ETags, request ids, problem details or trash. Pages are keyset pages, which is the kindest to them.
"""
