"""One row of everything, for the addresses of all pages."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client
from django_q.models import Failure

from apps.actions.http.mapping import HttpMapping
from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.connectors import registry
from apps.connectors.frozen import own_fields
from apps.connectors.models import Connector
from apps.core import clock
from apps.core.fields import TemplateField
from apps.core.http.outgoing import outgoing
from apps.core.models import Notice
from apps.crm import merging, services
from apps.crm.models import Contact, Merge, Note
from apps.crm.transfer.models import ContactExport, ContactImport
from apps.datastore.models import CounterValue, Row
from apps.engine.agenda import look
from apps.engine.models import Call, CrmTrigger, Delay, Ending, Event, Run, Schedule
from apps.engine.rounds import round_of_lanes
from apps.messaging import lists
from apps.messaging.models import BlacklistEntry, Channel, Message, OptOut
from apps.messaging.sandbox.models import PhoneMessage
from tests import factories
from tests.builder.rights.walk import Page
from tests.crm.transfer.conftest import uploaded
from tests.datastore.made import add_row, made_table

PHONE = "+4915112345678"
PEOPLE = "Phone;Name\n+4915112345679;Anna\n12;Ben\n"


@dataclass
class World:
    """`rows`: one of each model. `others`: those that a page or an argument needs besides."""

    rows: dict[type[Model], Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)

    def add(self, *rows: Model) -> None:
        self.rows |= {type(row): row for row in rows}

    def row_of(self, model: type[Model]) -> Any:
        assert model in self.rows, (
            f"The world of the matrix of rights has no {model._meta.verbose_name}: make one in "
            f"{__name__}, so that the pages of {model._meta.label} can be asked for."
        )
        return self.rows[model]

    @property
    def kinds(self) -> Collection[type[Model]]:
        """The kinds of actions."""
        return registry.kinds().values()

    def searched(self, box: dict[str, str]) -> Any:
        """The id of a row for a box that searches for one."""
        model = apps.get_model(box["data-app-label"], box["data-model-name"])
        return self.row_of(model._meta.get_field(box["data-field-name"]).related_model).pk

    def argument(self, page: Page, name: str) -> Any:
        """What goes into the page's address under this name."""
        for known in (f"{page.id} {name}", name):
            if known in self.others:
                return self.others[known]
        assert page.model is not None and name in ("pk", "object_id", "id"), (
            f"The page {page.id} has an argument <{name}> that is not known: put a value for "
            f'"{page.id} {name}" into `others` of {__name__}.'
        )
        return self.row_of(page.model).pk


def build(author: User) -> World:
    """`author` is whose notes there are."""
    world = World()
    for part in (_people, _messaging, _data, _flow, _happened, _jobs, _system, _unused):
        part(world)
    ana = world.rows[Contact]
    note = services.add_note(ana, "Likes tea", "somebody", author)
    world.add(note if isinstance(note, Note) else Note.objects.latest("pk"))
    world.others["note"] = world.rows[Note].pk
    return world


def _people(world: World) -> None:
    ana, other, lost = (factories.ContactFactory() for _ in range(3))
    world.add(ana, factories.TagFactory(), factories.CategoryFactory())
    world.add(factories.AttributeFactory())
    merging.merge(lost.pk, ana.pk, "somebody")
    merge = Merge.objects.get()
    world.others |= {"other": other.pk, "admin:crm_contact_undo pk": merge.pk}
    user = factories.UserFactory()
    world.add(user, Group.objects.create(name="Clerks"))


def _messaging(world: World) -> None:
    channel = factories.ChannelFactory()
    listed = factories.OptOutListFactory()
    lists.system_list()
    on_list = {"channel": channel, "address": PHONE}
    world.add(channel, listed, OptOut.objects.create(list=listed, **on_list))
    world.add(BlacklistEntry.objects.create(**on_list))
    arrived = PhoneMessage.objects.create(text="Hello", arrived_at=clock.now(), **on_list)
    sent = {"text": "Hello", "state": "unknown", "wake_at": clock.now()}
    world.add(arrived, Message.objects.create(**sent, **on_list))
    world.others["outcome"] = "sent"


def _data(world: World) -> None:
    table = made_table(code="key text", total="number")
    world.add(table, add_row(table, code="A-1", total="5"))
    counter = factories.CounterFactory()
    per_contact = factories.CounterFactory(scope="contact")
    kept = {"counter": per_contact, "contact": world.rows[Contact], "value": 3}
    kept |= {"changed_at": clock.now()}
    world.add(counter, CounterValue.objects.create(**kept))
    world.others |= {
        f"admin:datastore_row_{page} number": world.rows[Row].pk for page in ("change", "delete")
    }


def _flow(world: World) -> None:
    """A published connector, and a step with an action of every kind that is not published."""
    world.add(factories.CredentialFactory(hosts="shop.example"))
    message = {"channel": world.rows[Channel], "recipients": [{"to": PHONE}], "text": "Hello"}
    sleep = (DelayAction, {"amount": 1})
    connector = factories.published([(SendMessage, message), sleep], mapping={"phone": PHONE})
    step = factories.StepFactory(connector=connector, position=7)
    world.add(connector, step)
    for place, kind in enumerate(registry.kinds().values()):
        world.add(kind.objects.create(step=step, position=place, **_columns(world, kind)))
    on_connector = {"connector": connector, "enabled": True}
    at = clock.now() + timedelta(days=1)
    world.add(Schedule.objects.create(name="Daily", cron="0 9 * * *", next_at=at, **on_connector))
    world.add(CrmTrigger.objects.create(what="category_removed", **on_connector))
    world.others |= {"token": connector.token, "number": connector.published.number}
    uid = world.rows[HttpApi].uid
    asked = {"method": "GET", "url": "https://shop.example/", "headers": [], "body": ""}
    call = Call.objects.create(action_uid=uid, idempotency_key="k", state="failed", request=asked)
    world.others["call"] = call.pk
    HttpMapping.objects.create(action_uid=uid, changed_at=clock.now())


def _columns(world: World, kind: Any) -> dict[str, Any]:
    """What an action of the kind has to have."""
    columns: dict[str, Any] = {}
    for one in own_fields(kind):
        if one.is_relation:
            columns[one.name] = world.row_of(one.related_model)
        elif isinstance(one, TemplateField) and not one.blank:
            columns[one.name] = "https://shop.example/"
    return columns


def _happened(world: World) -> None:
    """A run that sleeps, with its event and its delay; and one that has ended."""
    connector = world.rows[Connector]
    for _ in range(2):
        assert Client().post(f"/hooks/{connector.token}", {"id": 7}).status_code == 202
    work()
    ended, asleep = Run.objects.order_by("-pk")
    Run.objects.filter(pk=ended.pk).update(state="failed", position=1, finished_at=clock.now())
    world.add(asleep, Event.objects.get(pk=asleep.event_id), Delay.objects.get(run=asleep.pk))
    world.others |= dict.fromkeys(
        ("admin:engine_run_again pk", "admin:engine_run_again_selected pk"), ended.pk
    )
    world.add(
        Ending.objects.create(
            connector_id=connector.pk,
            connector_name="Shop",
            which="open",
            state="failed",
            wake_at=clock.now(),
        )
    )


def work() -> None:
    """Do what is due."""
    while round_of_lanes(look().due()) or outgoing().in_flight:
        pass


def _jobs(world: World) -> None:
    export_ = ContactExport()
    export_.described = export_.describe()
    export_.begin()
    checked = uploaded(PEOPLE)
    checked.begin_dry_run()
    work()
    drafted, broken, waiting = uploaded(PEOPLE), uploaded(PEOPLE), uploaded(PEOPLE)
    ContactImport.objects.filter(pk=broken.pk).update(state="failed")
    ContactImport.objects.filter(pk=waiting.pk).update(state="waiting")
    asked_for, failed = ContactExport(), ContactExport()
    asked_for.begin()
    failed.begin()
    ContactExport.objects.filter(pk=failed.pk).update(state="failed")
    for model, job in {ContactExport: export_, ContactImport: checked}.items():
        world.rows[model] = model.objects.get(pk=job.pk)
    world.others |= {
        f"admin:transfer_{page} pk": job.pk
        for page, job in {
            "contactimport_columns": drafted,
            "contactimport_resume": broken,
            "contactimport_cancel": waiting,
            "contactexport_resume": failed,
            "contactexport_cancel": asked_for,
        }.items()
    }


def _system(world: World) -> None:
    times = {"started": clock.now(), "stopped": clock.now()}
    world.add(Notice.objects.create(text="The disk is full."))
    world.add(Failure.objects.create(id="f" * 32, name="f", func="a.b", success=False, **times))
    world.others |= {
        "content_type_id": ContentType.objects.get_for_model(Contact).pk,
        "admin:view_on_site object_id": world.rows[Contact].pk,
        "app_label": "crm",
        "url": "no/such/page",
    }


def _unused(world: World) -> None:
    """What others refer to is not deleted, nor is published what isn't whole: rows for that."""
    made = {
        "crm_attribute": factories.AttributeFactory(),
        "messaging_channel": factories.ChannelFactory(),
        "datastore_counter": factories.CounterFactory(),
        "datastore_table": factories.TableFactory(),
        "auth_user": factories.UserFactory(),
        "core_credential": factories.CredentialFactory(hosts="shop.example"),
    }
    world.others |= {f"admin:{name}_delete object_id": row.pk for name, row in made.items()}
    drafted = StopRun.objects.create(step=factories.StepFactory()).step.connector
    world.others["admin:connectors_connector_publish pk"] = drafted.pk
