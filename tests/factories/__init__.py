"""Factories for what tests need."""

import factory
from django.contrib.auth.models import User
from factory.django import DjangoModelFactory

from apps.connectors.models import Connector, Step
from apps.connectors.publish import publish
from apps.core.models import Credential
from apps.crm.models import Attribute, Category, Contact, Tag
from apps.datastore.models import Column, Counter, Table
from apps.messaging.models import Channel, OptOutList


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda made: f"{made.username}@example.org")


class CredentialFactory(DjangoModelFactory):
    class Meta:
        model = Credential

    name = factory.Sequence(lambda n: f"Credential {n}")

    @classmethod
    def _create(cls, model, *args, secret="secret", **columns):
        made = model(*args, **columns)
        made.set_secret(secret)
        made.save()
        return made


class ConnectorFactory(DjangoModelFactory):
    class Meta:
        model = Connector

    name = factory.Sequence(lambda n: f"Connector {n}")
    dedupe_header = ""
    dedupe_by = factory.LazyAttribute(lambda made: "header" if made.dedupe_header else "none")


class StepFactory(DjangoModelFactory):
    class Meta:
        model = Step

    connector = factory.SubFactory(ConnectorFactory)
    name = factory.Sequence(lambda n: f"Step {n}")
    position = factory.Sequence(lambda n: n)


class ContactFactory(DjangoModelFactory):
    class Meta:
        model = Contact

    name = factory.Sequence(lambda n: f"Contact {n}")
    phone = factory.Sequence(lambda n: f"+49151{n:08d}")


class TagFactory(DjangoModelFactory):
    class Meta:
        model = Tag

    name = factory.Sequence(lambda n: f"tag {n}")


class CategoryFactory(DjangoModelFactory):
    class Meta:
        model = Category

    name = factory.Sequence(lambda n: f"Category {n}")


class AttributeFactory(DjangoModelFactory):
    class Meta:
        model = Attribute

    name = factory.Sequence(lambda n: f"Attribute {n}")
    key = factory.LazyAttribute(lambda made: made.name.lower().replace(" ", "_"))


class ChannelFactory(DjangoModelFactory):
    class Meta:
        model = Channel

    name = factory.Sequence(lambda n: f"Channel {n}")


class OptOutListFactory(DjangoModelFactory):
    class Meta:
        model = OptOutList

    name = factory.Sequence(lambda n: f"Opt-out list {n}")


class CounterFactory(DjangoModelFactory):
    class Meta:
        model = Counter

    name = factory.Sequence(lambda n: f"Counter {n}")


class TableFactory(DjangoModelFactory):
    class Meta:
        model = Table

    name = factory.Sequence(lambda n: f"Table {n}")
    key = factory.LazyAttribute(lambda made: made.name.lower().replace(" ", "_"))


class ColumnFactory(DjangoModelFactory):
    """By default a column of the table that is there."""

    class Meta:
        model = Column

    table = factory.LazyFunction(lambda: Table.objects.first() or TableFactory())
    name = factory.Sequence(lambda n: f"Column {n}")


def published(*steps, mapping=None, **connector):
    """A published connector. Each step is a list of (kind class, columns); rows of an action's own
    tables go under `rows`: {"tags": [{"tag": tag}]}."""
    made = ConnectorFactory(**connector)
    for field, value in (mapping or {}).items():
        made.mappings.create(field=field, value=value)
    for position, actions in enumerate(steps):
        step = StepFactory(connector=made, position=position)
        for place, (kind, columns) in enumerate(actions):
            columns = dict(columns)
            rows = columns.pop("rows", {})
            action = kind.objects.create(step=step, position=place, **columns)
            for accessor, values in rows.items():
                for value in values:
                    getattr(action, accessor).create(**value)
            action.refresh_summary()
    publish(made)
    made.refresh_from_db()
    return made
