"""Registers the operators' pages that this app brings."""

from django.contrib import admin

# The kinds' forms come last: whether they search for related rows depends on those rows' pages.
from apps.builder import (  # noqa: F401
    accounts,
    connectors,
    credentials,
    crm_triggers,
    kinds,
    schedules,
    tables,
    tasks,
)
from apps.builder.http_api import form  # noqa: F401

admin.site.index_title = "Overview"
kinds.register_all(admin.site)
