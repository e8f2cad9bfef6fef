"""The hits of a search: the words in a title, and a piece of the description with a word."""

import re
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import smart_split, unescape_string_literal

from tasks.models import Task

#: How many characters of a description to show before and after its first hit.
BEFORE, AFTER = 30, 90


@dataclass(frozen=True)
class TitleColumn:
    """The column of titles in the list of a search, which Django's admin calls for each task."""

    pattern: re.Pattern[str]

    short_description = "title"

    @property
    def __name__(self) -> str:
        return "title"

    def __call__(self, task: Task) -> SafeString:
        """Return the title with its hits, and the first hit of the description."""
        title, hit = mark_hits(self.pattern, task.title), self.pattern.search(task.description)
        if not hit:
            return title
        start, end = max(hit.start() - BEFORE, 0), hit.end() + AFTER
        dots = ("…" if start else "", "…" if end < len(task.description) else "")
        piece = mark_hits(self.pattern, task.description[start:end])
        return format_html('{}<span class="hit">{}{}{}</span>', title, dots[0], piece, dots[1])


def compile_words(text: str) -> re.Pattern[str]:
    """Return a pattern that finds each word of a search, in any case."""
    words = (unquote(word) for word in smart_split(text))
    return re.compile("|".join(re.escape(word) for word in words if word), re.IGNORECASE)


def unquote(word: str) -> str:
    """Return a word of a search without its quotes, as Django's admin reads it."""
    is_quoted = word[0] in "\"'" and word[0] == word[-1]
    return unescape_string_literal(word) if is_quoted else word


def mark_hits(pattern: re.Pattern[str], text: str) -> SafeString:
    """Return a text with each hit in a ``<mark>``."""
    parts, end = [], 0
    for hit in pattern.finditer(text):
        parts.append((text[end : hit.start()], hit[0]))
        end = hit.end()
    return format_html("{}{}", format_html_join("", "{}<mark>{}</mark>", parts), text[end:])
