"""What goes wrong behind the pages, read-only: failed background tasks (what Django-Q shows else
would let people edit its queue) and trouble of the installation."""

from typing import Any

# Registers the stock pages, which are taken off again.
import django_q.admin  # noqa: F401
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.decorators import display

from apps.core.lists import ListAdmin
from apps.core.models import Notice

admin.site.unregister([Failure, OrmQ, Schedule, Success])


class ReadOnlyAdmin(ListAdmin):
    """Nobody adds or changes rows here; old ones are dropped by themselves."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ["what", "first_at", "last_at", "times"]
    list_display_links = ["what"]
    ordering = ["-last_at"]
    search_fields = ["text"]
    fields = ["text", "first_at", "last_at", "times"]

    @display(description="What is wrong", ordering="text")
    def what(self, notice: Notice) -> SafeString:
        """All of it, in as many lines as it takes."""
        return format_html('<span class="bo-wrap">{}</span>', notice.text)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Failure)
class FailedTaskAdmin(ReadOnlyAdmin):
    list_display = ["task", "ended", "error", "attempts"]
    list_display_links = ["task"]
    ordering = ["-stopped"]
    search_fields = ["name", "func"]
    fields = ["task", "function", "began", "ended", "attempts", "whole_error"]
    readonly_fields = fields

    @display(description="Task", ordering="func")
    def task(self, failure: Failure) -> str:
        """The function's name in words; tasks without a name of their own have made-up ones."""
        return failure.func.rpartition(".")[2].replace("_", " ").capitalize()

    @display(description="Function")
    def function(self, failure: Failure) -> str:
        return str(failure.func)

    @display(description="Began")
    def began(self, failure: Failure) -> Any:
        return failure.started

    @display(description="Failed", ordering="stopped")
    def ended(self, failure: Failure) -> Any:
        return failure.stopped

    @display(description="Attempts", ordering="attempt_count")
    def attempts(self, failure: Failure) -> int:
        return int(failure.attempt_count)

    @display(description="Error")
    def error(self, failure: Failure) -> str:
        lines = _text(failure).strip().splitlines()
        last = lines[-1] if lines else "No error was kept."
        return last if len(last) <= 120 else f"{last[:119]}…"

    @display(description="Error")
    def whole_error(self, failure: Failure) -> SafeString:
        return format_html('<pre class="bo-pre">{}</pre>', _text(failure) or "No error was kept.")


def _text(failure: Failure) -> str:
    return str(failure.result or "")
