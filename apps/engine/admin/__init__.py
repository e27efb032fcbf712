"""The operators' pages of the engine: events, runs and their timelines, delays."""

from apps.core.pages import CAUSE_PAGES
from apps.engine.admin import delays, endings, events, runs, sections

__all__ = ["delays", "endings", "events", "runs", "sections"]

CAUSE_PAGES.update(
    event=("Event", "admin:engine_event_change"), run=("Run", "admin:engine_run_change")
)
