"""The services that this project is compared with, each written as its own documentation shows.

All store the same twelve fields with the same index, check the same lengths, and serve the same endpoints with 2
workers and at most 8 connections each. Each stores priorities and labels as its own stack does. They log no requests.
None has the rest of the contract: no ETags, request ids, problem details, trash, calendar or time zones, and a PATCH of
labels replaces them. Their pages are keyset pages, the fastest kind.
"""

#: The shape of a due date, for the validators of each stack.
DUE_FORMS = r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(Z|\[[A-Za-z][A-Za-z0-9_+/-]*\])?)?$"
