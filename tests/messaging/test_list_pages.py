"""The operators' pages of opt-out lists and the blacklist."""

import csv
import io

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_to_blacklist import AddToBlacklist
from apps.actions.kinds.add_to_optout import AddToOptout
from apps.engine.models import Run
from apps.messaging import lists
from apps.messaging.lists import Entry
from apps.messaging.models import Application, BlacklistEntry, OptOut, OptOutList
from tests.factories import ChannelFactory, ContactFactory, OptOutListFactory, published

pytestmark = pytest.mark.django_db

ANA, BEN = "+4915112345678", "+4915112345679"
LISTS = reverse("admin:messaging_optoutlist_changelist")
BLACKLIST = reverse("admin:messaging_blacklistentry_changelist")
BLACKLIST_ADD = reverse("admin:messaging_blacklistentry_add")
OPTOUTS = reverse("admin:messaging_optout_changelist")
OPTOUT_ADD = reverse("admin:messaging_optout_add")


def text(answer):
    return answer.content.decode()


def rows_of(answer):
    body = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(body, newline="")))


@pytest.fixture
def shop():
    return ChannelFactory(name="Shop")


@pytest.fixture
def mail():
    return ChannelFactory(name="Mail", application=Application.EMAIL)


@pytest.fixture
def news():
    return OptOutListFactory(name="Newsletter")


def blocked():
    return sorted(BlacklistEntry.objects.values_list("channel__name", "address"))


# --- lists ---------------------------------------------------------------------------------------


def test_a_list_is_created_and_counted(admin_client, shop):
    add = reverse("admin:messaging_optoutlist_add")
    assert "Create New Opt List" in text(admin_client.get(add))
    assert admin_client.post(add, {"name": "Newsletter"}).status_code == 302
    assert "There is a list with this name already." in text(
        admin_client.post(add, {"name": "NEWSLETTER"})
    )
    made = OptOutList.objects.get(name="Newsletter")
    assert not made.is_system
    lists.add_to_optout([made], [Entry(shop.pk, ANA), Entry(shop.pk, BEN)])
    shown = text(admin_client.get(LISTS))
    assert f'href="{OPTOUTS}?list__id__exact={made.pk}">2</a>' in shown
    assert lists.SYSTEM_LIST in shown and "It can&#x27;t be deleted." in shown


def test_the_systems_list_is_not_deleted_and_the_page_says_why(admin_client):
    system = lists.system_list()
    delete = reverse("admin:messaging_optoutlist_delete", args=[system.pk])
    shown = text(admin_client.get(reverse("admin:messaging_optoutlist_change", args=[system.pk])))
    assert "It can&#x27;t be deleted." in shown and delete not in shown
    answer = admin_client.post(delete, {"post": "yes"}, follow=True)
    assert "can&#x27;t be deleted: it was made by the system." in text(answer)
    chosen = {"action": "delete_selected", "_selected_action": [system.pk], "post": "yes"}
    assert "it was made by the system." in text(admin_client.post(LISTS, chosen))
    assert OptOutList.objects.filter(pk=system.pk).exists()


def test_a_list_in_use_is_not_deleted_others_go_with_their_addresses(admin_client, shop, news):
    rows = {"lists": [{"list": news}]}
    step = published([(AddToOptout, {"channel": shop, "rows": rows})], name="Web").steps.get()
    lists.add_to_optout([news], [Entry(shop.pk, ANA)])
    delete = reverse("admin:messaging_optoutlist_delete", args=[news.pk])
    answer = admin_client.post(delete, {"post": "yes"}, follow=True)
    assert f"it is used by Web › {step} › Add to Optout List." in text(answer)
    AddToOptout.objects.all().delete()
    assert "The list &quot;Newsletter&quot; with all of its addresses" in text(
        admin_client.get(delete)
    )
    admin_client.post(delete, {"post": "yes"})
    assert not OptOut.objects.exists()


def test_a_list_is_downloaded_without_formulas(admin_client, mail, news):
    wicked = "=1+1@example.org"
    lists.add_to_optout([news], [Entry(mail.pk, wicked)], "run", 7)
    lists.add_to_optout([lists.system_list()], [Entry(mail.pk, "other@example.org")])
    page = text(admin_client.get(reverse("admin:messaging_optoutlist_change", args=[news.pk])))
    download = reverse("admin:messaging_optoutlist_download", args=[news.pk])
    assert download in page
    header, row = rows_of(admin_client.get(download))
    assert header == ["Email ID/Phone Number", "Channel", "Added", "By"]
    assert (row[0], row[1], row[3]) == (f"'{wicked}", "Mail", "run 7")


# --- adding --------------------------------------------------------------------------------------


def test_many_are_pasted_and_those_that_were_there_are_told(admin_client, admin_user, shop):
    lists.add_to_blacklist([Entry(shop.pk, ANA)])
    pasted = "0049 151 12345678\n+49 151 12345679, 4915112345680;\n\n+4915112345679"
    sent = {"channel": shop.pk, "addresses": pasted}
    answer = text(admin_client.post(BLACKLIST_ADD, sent, follow=True))
    assert f"2 addresses were added. On the list already: {ANA}." in answer
    assert blocked() == [("Shop", ANA), ("Shop", BEN), ("Shop", "+4915112345680")]
    added = BlacklistEntry.objects.filter(cause="user", cause_id=admin_user.pk)
    assert added.count() == 2
    assert admin_user.username in answer


def test_all_channels_take_what_they_reach(admin_client, shop, mail):
    sent = {"channel": "", "addresses": f"{ANA}\nBen@Example.org"}
    answer = text(admin_client.post(BLACKLIST_ADD, sent, follow=True))
    assert "2 addresses were added." in answer
    assert blocked() == [("Mail", "ben@example.org"), ("Shop", ANA)]


def test_nothing_is_added_as_long_as_one_cannot_be_read(admin_client, shop):
    wrong = "\n".join(f"wrong {number}" for number in range(8))
    answer = text(admin_client.post(BLACKLIST_ADD, {"channel": shop.pk, "addresses": wrong + ANA}))
    assert "&quot;wrong 0&quot; is not a valid mobile number: it needs the country code." in answer
    assert "And 3 more can&#x27;t be read." in answer
    assert blocked() == []


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"addresses": ""}, "This field is required."),
        ({"addresses": "\n".join(map(str, range(10_001)))}, "add up to 10,000 at once."),
        ({"addresses": ANA, "channel": "999999"}, "Select a valid choice."),
        ({"addresses": "<script>alert(1)</script>"}, "&lt;script&gt;"),
    ],
)
def test_what_is_refused(admin_client, shop, sent, error):
    answer = text(admin_client.post(BLACKLIST_ADD, sent))
    assert error in answer and "<script>alert" not in answer
    assert blocked() == []


def test_without_a_channel_there_is_nothing_to_add_to(admin_client):
    answer = text(admin_client.post(BLACKLIST_ADD, {"addresses": ANA}))
    assert "There is no channel yet: add one first." in answer


def test_an_opt_out_goes_to_the_list_that_is_chosen(admin_client, shop, news):
    form = text(admin_client.get(OPTOUT_ADD))
    assert f'<option value="{lists.system_list().pk}" selected>' in form
    sent = {"list": news.pk, "channel": shop.pk, "addresses": ANA}
    answer = text(admin_client.post(OPTOUT_ADD, sent, follow=True))
    assert "1 address was added." in answer
    row = OptOut.objects.get()
    assert (row.list, row.channel, row.address, row.cause) == (news, shop, ANA, "user")
    answer = text(admin_client.post(OPTOUT_ADD, sent, follow=True))
    assert f"0 addresses were added. On the list already: {ANA}." in answer


# --- the entries ---------------------------------------------------------------------------------


def test_entries_are_found_by_the_exact_address(admin_client, shop, mail):
    lists.add_to_blacklist([Entry(shop.pk, ANA), Entry(mail.pk, "ana@example.org")])

    def found(term):
        shown = text(admin_client.get(BLACKLIST, {"q": term}))
        return [one for one in (ANA, "ana@example.org") if f">{one}</" in shown]

    assert found("0049 151 12345678") == [ANA]
    assert found("Ana@Example.org") == ["ana@example.org"]
    assert found("151") == []


def test_the_lists_say_who_added_what_in_the_same_queries_for_any_number(
    admin_client, admin_user, post, drain, clock, shop, news
):
    def queries(page):
        with CaptureQueriesContext(connection) as captured:
            shown = text(admin_client.get(page))
        assert not [q for q in captured if 'COUNT(*) AS "__count"' in q["sql"]]
        return len(captured), shown

    post(published([(AddToBlacklist, {"channel": shop, "address": ANA})]), {})
    drain()
    run = Run.objects.get()
    few, shown = queries(BLACKLIST)
    assert f"Run {run.pk}</a>" in shown
    by_hand = {"cause": "user", "cause_id": admin_user.pk}
    more = [Entry(shop.pk, f"+49151{number:08d}") for number in range(20)]
    lists.add_to_blacklist(more, **by_hand)
    many, shown = queries(BLACKLIST)
    assert many <= few + 1 and f">{admin_user.username}</" in shown.replace(" ", "").replace(
        "\n", ""
    )
    lists.add_to_optout([news], more[:1])
    few, _ = queries(OPTOUTS)
    lists.add_to_optout([news], more, **by_hand)
    many, shown = queries(OPTOUTS)
    assert many <= few + 1 and "Newsletter" in shown


def test_one_is_removed_after_asking(admin_client, shop):
    lists.add_to_blacklist([Entry(shop.pk, ANA), Entry(shop.pk, BEN)])
    ana = BlacklistEntry.objects.get(address=ANA)
    remove = reverse("admin:messaging_blacklistentry_remove", args=[ana.pk])
    assert remove in text(admin_client.get(BLACKLIST))
    assert f"Remove {ANA} from the blacklist of Shop?" in text(admin_client.get(remove))
    assert len(blocked()) == 2
    answer = text(admin_client.post(remove, {"confirmed": "1"}, follow=True))
    assert f"{ANA} was removed." in answer
    assert blocked() == [("Shop", BEN)]


def test_several_are_removed_after_asking(admin_client, shop, news):
    lists.add_to_optout([news], [Entry(shop.pk, a) for a in (ANA, BEN, "+4915112345680")])
    chosen = list(OptOut.objects.order_by("pk").values_list("pk", flat=True)[:2])
    sent = {"action": "remove_selected", "_selected_action": chosen}
    assert "Remove the selected addresses?" in text(admin_client.post(OPTOUTS, sent))
    assert OptOut.objects.count() == 3
    answer = admin_client.post(OPTOUTS, {**sent, "confirmed": "1"}, follow=True)
    assert "Removed: 2 of 2." in text(answer)
    assert OptOut.objects.count() == 1


def test_the_blacklist_is_downloaded(admin_client, admin_user, shop):
    lists.add_to_blacklist([Entry(shop.pk, ANA)], "user", admin_user.pk)
    download = reverse("admin:messaging_blacklistentry_download")
    assert download in text(admin_client.get(BLACKLIST))
    _, row = rows_of(admin_client.get(download))
    assert (row[0], row[1], row[3]) == (ANA, "Shop", admin_user.username)


@pytest.mark.parametrize("model", ["blacklistentry", "optout"])
def test_who_may_only_look_neither_adds_nor_removes_nor_downloads_elsewhere(client, shop, model):
    lists.add_to_blacklist([Entry(shop.pk, ANA)])
    lists.add_to_optout([lists.system_list()], [Entry(shop.pk, ANA)])
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename=f"view_{model}"))
    client.force_login(viewer)
    page = f"admin:messaging_{model}_"
    entry = (BlacklistEntry if model == "blacklistentry" else OptOut).objects.get()
    shown = text(client.get(reverse(f"{page}changelist")))
    assert ANA in shown and ">Remove</a>" not in shown
    remove = reverse(f"{page}remove", args=[entry.pk])
    sent = {"action": "remove_selected", "_selected_action": [entry.pk], "confirmed": "1"}
    assert client.get(reverse(f"{page}add")).status_code == 403
    assert client.post(remove, {"confirmed": "1"}).status_code == 403
    client.post(reverse(f"{page}changelist"), sent)
    other = reverse("admin:messaging_optoutlist_download", args=[lists.system_list().pk])
    assert client.get(other).status_code == 403
    client.logout()
    download = reverse("admin:messaging_blacklistentry_download")
    assert client.get(download).status_code == 302
    assert BlacklistEntry.objects.exists() and OptOut.objects.exists()


# --- on a contact's page -------------------------------------------------------------------------


def test_a_contacts_page_shows_its_lists_by_channel_with_doors(admin_client, shop, mail, news):
    ana = ContactFactory(phone=ANA, email="Ana@Example.org")
    page = reverse("admin:crm_contact_change", args=[ana.pk])
    shown = text(admin_client.get(page))
    assert "Opt-out lists and blacklist" in shown
    door = f"{BLACKLIST_ADD}?channel={shop.pk}&amp;addresses=%2B4915112345678"
    assert door in shown and "Blocked" not in shown
    form = text(admin_client.get(door.replace("&amp;", "&")))
    assert f'<option value="{shop.pk}" selected>Shop</option>' in form and ANA in form
    lists.add_to_optout([news, lists.system_list()], [Entry(mail.pk, "ana@example.org")])
    lists.add_to_blacklist([Entry(shop.pk, ANA)])
    entry = BlacklistEntry.objects.get()
    shown = text(admin_client.get(page))
    there = f"{OPTOUTS}?q=ana%40example.org"
    assert f'href="{there}">{lists.SYSTEM_LIST}, Newsletter</a>' in shown
    assert text(admin_client.get(there)).count(">ana@example.org</") == 2
    assert "Blocked" in shown and door not in shown
    assert reverse("admin:messaging_blacklistentry_remove", args=[entry.pk]) in shown
