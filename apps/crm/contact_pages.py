"""The pages of one contact: everything about the person, notes, merging, deleting."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.decorators import action, display

from apps.core.pages import Asks, as_id, link
from apps.core.patience import patiently
from apps.crm import by_hand, erasing, merging, services
from apps.crm.comparing import compared
from apps.crm.contact_form import PREFIX, ContactForm, with_attributes
from apps.crm.merging import NotMergeable
from apps.crm.models import Attribute, Contact, Merge, Note
from apps.crm.sections import sections

NOTES = 20
CANDIDATES = 10
DELETE = (
    "Delete {}? It is gone from lists and searches at once, its number and email address are free "
    "for a new contact, and messages that wait to be sent to it are cancelled. Its tags, "
    "categories, attributes and notes are erased."
)


def page_of(contact_id: Any) -> str:
    return reverse("admin:crm_contact_change", args=[contact_id])


class ContactPages(Asks):
    form = ContactForm
    change_form_outer_after_template = "crm/contact_sections.html"
    actions_detail = ["merge_with"]
    warn_unsaved_form = True

    # --- the form ---

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        own: list[Any] = [("name", "owner"), ("phone", "email"), ("timezone", "country")]
        if not self._may_edit(request, obj):
            return [(None, {"fields": [*own, "tag_names", "category_names", "created_at"]})]
        own += ["tags", "categories", *(["created_at"] if obj else [])]
        parts = [(None, {"fields": own})]
        names = [f"{PREFIX}{attribute.pk}" for attribute in _attributes(request)]
        pairs = [tuple(names[place : place + 2]) for place in range(0, len(names), 2)]
        return [*parts, *([("Attributes", {"fields": pairs})] if pairs else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        marks = [] if self._may_edit(request, obj) else ["tag_names", "category_names"]
        return [*marks, "created_at"]

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_form(
            request, obj, **{"form": with_attributes(_attributes(request)), **kwargs}
        )

    def _may_edit(self, request: HttpRequest, obj: Any) -> bool:
        if obj is None:
            return self.has_add_permission(request)
        return self.has_change_permission(request, obj)

    @display(description="Tags", empty_value="–")
    def tag_names(self, contact: Contact) -> str:
        return ", ".join(sorted(str(row) for row in contact.tag_links.select_related("tag")))

    @display(description="Categories", empty_value="–")
    def category_names(self, contact: Contact) -> str:
        rows = contact.category_links.select_related("category")
        return ", ".join(sorted(str(row) for row in rows))

    def save_model(self, request: HttpRequest, obj: Contact, form: Any, change: bool) -> None:
        """Write what was changed in the form and nothing else: runs write contacts meanwhile."""
        with by_hand.telling(request, obj):
            if change:
                columns = {field.name for field in Contact._meta.concrete_fields}
                obj.save(update_fields=columns.intersection(form.changed_data))
            else:
                obj.save()
        form.save_beside(obj, **by_hand.cause_of(request))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        contact = kwargs.get("obj")
        if contact:
            context.update(self._about(request, contact))
        return super().render_change_form(request, context, *args, **kwargs)

    def _about(self, request: HttpRequest, contact: Contact) -> dict[str, Any]:
        limit = None if "notes" in request.GET else NOTES + 1
        notes = list(Note.objects.filter(contact=contact).order_by("-pk")[:limit])
        more = limit is not None and len(notes) > NOTES
        return {
            "contact": contact,
            "notes": notes[:NOTES] if more else notes,
            "more_notes": more,
            "may_note": self.has_change_permission(request, contact),
            "merges": list(Merge.objects.filter(survivor__in=contact.ids).order_by("-pk")),
            "sections": sections(request, contact),
        }

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        pk = as_id(object_id) or 0
        survivor = services.living([pk]).get(pk)
        if survivor is not None and survivor.pk != pk:
            if not self.has_view_or_change_permission(request):
                raise PermissionDenied
            note = f'Contact {pk} was merged into "{survivor}".'
            self.message_user(request, note, messages.INFO)
            return HttpResponseRedirect(page_of(survivor.pk))
        return super().change_view(request, object_id, form_url, extra_context)

    def get_urls(self) -> list[Any]:
        def own(pattern: str, view: Any, name: str) -> Any:
            return path(pattern, self.admin_site.admin_view(view), name=f"crm_contact_{name}")

        return [
            own("<int:pk>/notes/", require_POST(self.add_note_view), "note"),
            own("<int:pk>/notes/<int:note>/delete/", self.delete_note_view, "delete_note"),
            own("<int:pk>/merge/<int:other>/", self.merge_view, "merge"),
            own("merges/<int:pk>/undo/", self.undo_view, "undo"),
            *super().get_urls(),
        ]

    def _editable(self, request: HttpRequest, pk: int) -> Contact:
        contact: Contact | None = self.get_queryset(request).filter(pk=pk).first()
        if not self.has_change_permission(request, contact):
            raise PermissionDenied
        if contact is None:
            raise Http404("There is no such contact.")
        return contact

    # --- notes ---

    def add_note_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        contact = self._editable(request, pk)
        text = request.POST.get("text", "").replace("\0", "").strip()
        if not text:
            self.message_user(request, "Write the note first.", messages.ERROR)
        elif len(text) > services.NOTE_LENGTH:
            note = f"The note is longer than {services.NOTE_LENGTH:,} characters."
            self.message_user(request, note, messages.ERROR)
        else:
            user = request.user
            author = user.get_full_name() or user.get_username()
            services.add_note(contact, text, author, user, cause="user", cause_id=user.pk)
            self.message_user(request, "The note was added.", messages.SUCCESS)
        return HttpResponseRedirect(f"{page_of(pk)}#notes")

    def delete_note_view(self, request: HttpRequest, pk: int, note: int) -> HttpResponse:
        """Only one's own."""
        self._editable(request, pk)
        mine = Note.objects.filter(pk=note, contact=pk, author_user=request.user.pk)
        row = mine.first()
        if row is None:
            raise PermissionDenied
        if request.method != "POST":
            question = f'Delete your note "{row}"?'
            return self.ask(request, question, "Delete note", {}, f"{page_of(pk)}#notes")
        mine.delete()
        self.message_user(request, "The note was deleted.", messages.SUCCESS)
        return HttpResponseRedirect(f"{page_of(pk)}#notes")

    # --- merging ---

    @action(description="Merge with another", url_path="merge", permissions=["change"])
    def merge_with(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Looks for the other contact."""
        contact = self._editable(request, as_id(object_id) or 0)
        term = request.GET.get("q", "").replace("\0", "").strip()
        found: list[Contact] = []
        if term:
            others = self.get_queryset(request).exclude(pk=contact.pk).order_by("-pk")
            found = list(self.get_search_results(request, others, term)[0][: CANDIDATES + 1])
        details = {
            "contact": contact,
            "term": term,
            "found": found[:CANDIDATES],
            "more": len(found) > CANDIDATES,
        }
        title, back = f"Merge {contact} with another contact", page_of(contact.pk)
        return self.ask(request, "", title, {}, back, "crm/merge_with.html", **details)

    def merge_view(self, request: HttpRequest, pk: int, other: int) -> HttpResponse:
        """The contact `other` goes into the contact `pk`: shows what each has and what stays,
        then does it."""
        survivor, loser = self._editable(request, pk), self._editable(request, other)
        if request.method == "POST":
            return self._merge(request, loser, survivor)
        question = (
            f'Merge "{loser}" into "{survivor}"? One contact stays, with the history of both. '
            "It can be undone later."
        )
        details = {
            "comparison": compared(loser, survivor),
            "loser": loser,
            "survivor": survivor,
            "turned": reverse("admin:crm_contact_merge", args=[other, pk]),
        }
        back = page_of(pk)
        return self.ask(request, question, "Merge", {}, back, "crm/merge.html", **details)

    def _merge(self, request: HttpRequest, loser: Contact, survivor: Contact) -> HttpResponse:
        try:
            who = request.user.get_username()
            patiently(partial(merging.merge, loser.pk, survivor.pk, who))
        except NotMergeable as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            note = f'"{loser}" was merged into this contact. It can be undone below, at "Merges".'
            self.message_user(request, note, messages.SUCCESS)
        return HttpResponseRedirect(page_of(survivor.pk))

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        merged = Merge.objects.select_related("survivor", "loser").filter(pk=pk).first()
        if not self.has_change_permission(request):
            raise PermissionDenied
        if merged is None:
            raise Http404("There is no such merge.")
        page = page_of(merged.survivor_id)
        if request.method != "POST":
            question = (
                f'Undo the merge of "{merged.loser}" into "{merged.survivor}"? Both contacts get '
                "back what they had. What was changed since, and messages and runs since, stay "
                f'with "{merged.survivor}".'
            )
            return self.ask(request, question, "Undo merge", {}, page)
        try:
            changed = patiently(partial(merging.undo, pk, request.user.get_username()))
        except NotMergeable as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(page)
        other = link("admin:crm_contact_change", merged.loser_id, merged.loser)
        note = format_html("The merge was undone: {} is a contact again.", other)
        self.message_user(request, note, messages.SUCCESS)
        for sentence in changed:
            self.message_user(request, sentence, messages.WARNING)
        return HttpResponseRedirect(page)

    # --- deleting ---

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        contact = self.get_object(request, object_id)
        if not self.has_delete_permission(request, contact):
            raise PermissionDenied
        if contact is None:
            raise Http404("There is no such contact.")
        if request.method != "POST":
            page = page_of(contact.pk)
            question = DELETE.format(f'"{contact}"')
            return self.ask(request, question, "Delete contact", {}, page, "crm/delete.html")
        name = str(contact)
        with_history = bool(request.POST.get("with_history"))
        self._delete(request, contact, with_history)
        more = " Its history is being erased." if with_history else ""
        self.message_user(request, f'"{name}" was deleted.{more}', messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:crm_contact_changelist"))

    def _delete(self, request: HttpRequest, contact: Contact, with_history: bool = False) -> None:
        self.log_deletions(request, Contact.everyone.filter(pk=contact.pk))
        by = {"cause": "user", "cause_id": request.user.pk}
        patiently(partial(erasing.delete_contact, contact, with_history, **by))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> None:
        by = {"cause": "user", "cause_id": request.user.pk}
        for contact in queryset:
            patiently(partial(erasing.delete_contact, contact, **by))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        lines = [f'The contact "{contact}"' for contact in objs]
        return lines, {"contacts": len(lines)}, set(), []


def _attributes(request: Any) -> list[Attribute]:
    """All attributes; asked for several times while a page is made."""
    if not hasattr(request, "contact_attributes"):
        request.contact_attributes = list(Attribute.objects.all())
    return request.contact_attributes  # type: ignore[no-any-return]
