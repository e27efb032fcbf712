"""Finding people by what an operator types. Numbers and addresses go by their indexes."""

from django.db.models import QuerySet
from django.db.models.functions import Lower

from apps.core import phone
from apps.crm.models import Contact

People = QuerySet[Contact]


def search(people: People, typed: str) -> People:
    """A number, in any spelling, or an address is looked up; anything else is part of a name."""
    term = typed.strip()
    if not term:
        return people
    if "@" in term or phone.normalise(term):
        return by_address(people, term)
    return people.filter(name__icontains=term)


def by_address(people: People, typed: str) -> People:
    """Whom a whole number or email address names."""
    number = phone.normalise(typed)
    if number:
        return people.filter(phone__in=phone.spellings(number))
    by_email = people.alias(lower=Lower("email")).filter(lower=typed.strip().lower())
    return by_email.exclude(email="")  # as the index has it
