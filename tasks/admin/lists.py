"""Lists of the admin that accept their own filters only, and name an invalid filter."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, IGNORED_PARAMS, PAGE_VAR
from django.http import HttpRequest
from django.utils.http import urlencode
from django.utils.text import Truncator

#: A message quotes this many characters of an address.
QUOTED_LENGTH = 100


class FilteredAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # has no __class_getitem__
    """An admin that refuses the lookups of Django's admin, because a regular expression can hang a worker."""

    allowed_lookups: ClassVar[frozenset[str]] = frozenset()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in self.allowed_lookups

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Say which filter is invalid, because Django redirects to the list without a message."""
        try:
            return super().get_changelist_instance(request)
        except IncorrectLookupParameters as error:
            self.message_user(request, describe_invalid_filter(request, error), messages.ERROR)
            raise


def describe_invalid_filter(request: HttpRequest, error: IncorrectLookupParameters) -> str:
    """Return a message with the address's filters, and with the reason if one of our filters gave it."""
    others = {PAGE_VAR, ERROR_FLAG, *IGNORED_PARAMS}
    filters = urlencode({name: value for name, value in request.GET.dict().items() if name not in others})
    reason = "".join(f" {argument}" for argument in error.args if isinstance(argument, str))
    quoted = Truncator(filters).chars(QUOTED_LENGTH)
    return f"The address has an invalid filter: {quoted}.{reason} The list below has no filter."
