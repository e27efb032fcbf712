"""The lists of the back office: what they can be filtered by."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin

# How a filter asks for a value, for one of a related row, for none, and for a span of time.
FORMS = ("", "__exact", "__in", "__isnull", "__id__exact", "__gte", "__gt", "__lte", "__lt")


class ListAdmin(ModelAdmin):
    """The base of every admin class. A list is filtered by what it offers as a filter, and by
    nothing else: Django would take any column in any way, and so tell, letter by letter, what
    stands in those that are not shown (`?token__startswith=`)."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in self._lookups(request)

    def _lookups(self, request: HttpRequest) -> Iterator[str]:
        for each in self.get_list_filter(request):
            if isinstance(each, type) and issubclass(each, SimpleListFilter):
                yield str(each.parameter_name)
            else:
                column = each[0] if isinstance(each, list | tuple) else each
                yield from (f"{column}{form}" for form in FORMS)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """No database takes a NUL: what holds one finds nothing, and is told so."""
        if any("\0" in text for pair in request.GET.lists() for text in (pair[0], *pair[1])):
            self.message_user(request, "That can't be searched for.", messages.WARNING)
            return HttpResponseRedirect(request.path)
        page: HttpResponse = super().changelist_view(request, extra_context)
        return page
