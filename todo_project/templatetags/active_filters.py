"""The template tag ``active_filters``, for the lists of the admin."""

from typing import Any, NamedTuple

from django import template
from django.contrib.admin.views.main import ChangeList

register = template.Library()


class ActiveFilter(NamedTuple):
    """A filter that is on: its title, its chosen choice, and the address of the list without the filter."""

    title: str
    choice: str
    url: str


@register.simple_tag
def active_filters(changelist: ChangeList) -> list[ActiveFilter]:
    """Return the filters of a list that are on, because on a phone the filters themselves are folded up."""
    return [found for spec in changelist.filter_specs for found in _find_choice(spec, [*spec.choices(changelist)])]


def _find_choice(spec: Any, choices: list[Any]) -> list[ActiveFilter]:
    """Return the chosen choice of a filter, if the choice is not the first, which means no filter."""
    first, *others = choices
    return [
        ActiveFilter(spec.title, choice["display"], first["query_string"]) for choice in others if choice["selected"]
    ]
