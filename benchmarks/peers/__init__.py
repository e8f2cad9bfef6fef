"""The services that this project is compared with, each written as its own documentation shows.

All store the same eight fields in the same columns with the same index, check the same lengths, and serve the same
endpoints with 2 workers and at most 8 connections each. They log no requests. None has the rest of the contract: no
ETags, request ids, problem details or trash. Their pages are keyset pages, the fastest kind.
"""
