"""The operators' pages of people: contacts, tags, categories and attributes."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from apps.core.pages import CAUSE_PAGES, RefusesUsed, cause_link
from apps.crm.contact_pages import ContactPages
from apps.crm.models import (
    Attribute,
    AttributeValue,
    Category,
    Contact,
    ContactCategory,
    ContactTag,
    Tag,
)
from apps.crm.searching import search
from apps.crm.sections import Section, contact_section

CAUSE_PAGES["user"] = ("User", "admin:auth_user_change")


@admin.register(Contact)
class ContactAdmin(ContactPages):
    list_display = ["display_name", "phone", "email", "tag_labels", "created_at"]
    ordering = ["-id"]
    sortable_by = ()
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True
    search_fields = ["name", "phone", "email"]
    search_help_text = "Search by name, mobile number or email address"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        return super().get_queryset(request).prefetch_related("tag_links__tag")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        return search(queryset, search_term), False

    @display(description="Name")
    def display_name(self, contact: Contact) -> str:
        return contact.name or "(no name)"

    @display(description="Tags", label=True)
    def tag_labels(self, contact: Contact) -> list[str]:
        return sorted(str(link.tag) for link in contact.tag_links.all())


class MarkAdmin(RefusesUsed, ModelAdmin):
    """What contacts are marked with, by name, and how many are."""

    list_display = ["name", "contacts"]
    search_fields = ["name"]
    links: type[Model]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        mark = str(self.opts.model_name)
        links: QuerySet[Any] = self.links._default_manager.filter(**{mark: OuterRef("pk")})
        counts = links.order_by().values(mark).annotate(n=Count("pk")).values("n")
        count = Subquery(counts, output_field=IntegerField())
        return super().get_queryset(request).annotate(contacts_count=Coalesce(count, 0))

    @display(description="Contacts")
    def contacts(self, mark: Any) -> int:
        return int(mark.contacts_count)

    def deletion_summary(self, objs: Any, request: HttpRequest) -> Any:
        """In one line each: listing every contact that is marked would not fit any page."""
        name, names = self.opts.verbose_name, self.opts.verbose_name_plural
        lines = [f'The {name} "{mark}", from {self._spell(mark)}' for mark in objs]
        return lines, {names: len(lines)}, set(), []

    def _spell(self, mark: Any) -> str:
        count = mark.contact_links.count()
        return f"{count:,} contact{'' if count == 1 else 's'}"


@admin.register(Tag)
class TagAdmin(MarkAdmin):
    links = ContactTag


@admin.register(Category)
class CategoryAdmin(MarkAdmin):
    links = ContactCategory


@admin.register(Attribute)
class AttributeAdmin(RefusesUsed, ModelAdmin):
    list_display = ["name", "type", "liquid"]
    list_filter = ["type"]
    search_fields = ["name", "key"]
    fields = ["name", "type", "choices", "key"]
    conditional_fields = {"choices": "type == 'choice'"}

    def get_fields(self, request: HttpRequest, obj: Attribute | None = None) -> list[str]:
        """Once the type is fixed, only Choice has choices."""
        typed = obj is not None and obj.type != Attribute.Type.CHOICE
        return [name for name in self.fields if not (typed and name == "choices")]

    def get_readonly_fields(self, request: HttpRequest, obj: Attribute | None = None) -> list[str]:
        """Texts name the key and values are kept by type: neither changes later."""
        return ["key"] if obj else []

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The type stays a field of the form, since it decides what else is shown."""
        form = super().get_form(request, obj, *args, **kwargs)
        if obj and "type" in form.base_fields:
            form.base_fields["type"].disabled = True
        return form

    @display(description="In texts")
    def liquid(self, attribute: Attribute) -> str:
        return f"{{{{ attr.{attribute.key} }}}}"

    def deletion_summary(self, objs: Any, request: HttpRequest) -> Any:
        lines = [f'The attribute "{attribute}" with all of its values' for attribute in objs]
        return lines, {"attributes": len(lines)}, set(), []


@contact_section
def attribute_values(request: HttpRequest, contact: Contact, limit: int) -> Section | None:
    """All of them: they say who somebody is, not what happened lately. Who may change them finds
    them in the form."""
    if request.user.has_perm("crm.change_contact"):
        return None
    rows = AttributeValue.objects.filter(contact=contact).select_related("attribute")
    shown = [
        [row.attribute.name, row.value, row.updated_at, cause_link(row.cause, row.cause_id)]
        for row in rows.order_by("attribute__name")
    ]
    return Section("Attributes", ["Attribute", "Value", "Set", "By"], shown) if shown else None
