"""The mail server, read from one address."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.mail import MailServer, read


@pytest.mark.parametrize(
    "url, server",
    [
        ("", MailServer()),
        (
            "smtp://ana%40shop:p%3Aw@mail.example",
            MailServer("mail.example", 587, "ana@shop", "p:w", starttls=True),
        ),
        ("smtps://mail.example", MailServer("mail.example", 465, tls_from_the_start=True)),
        ("smtp+plain://127.0.0.1:1025", MailServer("127.0.0.1", 1025)),
    ],
)
def test_one_address_says_it_all(url, server):
    assert read(url) == server


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example", "smtp://", "smtp://a:b@x:y"]
)
def test_what_is_no_mail_server_is_refused_without_showing_it(url):
    with pytest.raises(ImproperlyConfigured) as refused:
        read(url)
    assert "a:b@x" not in str(refused.value)
