"""Users and groups, in the shell's clothes. Who may change accounts can't make themselves more than
they are: rights are given by superusers alone, and an account that may do more than oneself is not
touched, its password least of all."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import admin as stock
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.core.lists import ListAdmin
from apps.core.pages import RefusesUsed

admin.site.unregister([User, Group])

RIGHTS = ("is_superuser", "groups", "user_permissions")


def may_do_more(account: User, than: Any) -> bool:
    """Whether the account has a right that `than` has not. That it is switched off doesn't count:
    it may be switched on again."""
    if than.is_superuser:
        return False
    if account.is_superuser:
        return True
    given = Permission.objects.filter(Q(user=account) | Q(group__user=account))
    rights = {
        f"{app}.{name}" for app, name in given.values_list("content_type__app_label", "codename")
    }
    return not rights <= than.get_all_permissions()


@admin.register(User)
class UserAdmin(RefusesUsed, stock.UserAdmin, ModelAdmin):  # type: ignore[type-arg,misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "first_name", "last_name", "email", "is_staff", "is_active"]
    list_filter = ["is_staff", "is_superuser", "is_active", "groups"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else [*fields, *RIGHTS]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _within(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _within(request, obj)


def _within(request: HttpRequest, account: User | None) -> bool:
    return account is None or not may_do_more(account, than=request.user)


@admin.register(Group)
class GroupAdmin(ListAdmin, stock.GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Rights that accounts have together: seen by who may see them, given by superusers."""

    list_display = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)
