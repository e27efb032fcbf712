"""What a browser would send: the form of a page as it stands, with what is required filled in. So a
POST that is refused is one that would have done something."""

from html.parser import HTMLParser
from typing import Any

# What a required box gets that is empty.
TYPED = {"email": "made.up@shop.example", "password": "Correct-horse-7", "number": "3"}


class _Forms(HTMLParser):
    """The forms of a page: (address, names and values)."""

    def __init__(self, text: str, related: Any) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, list[str]]]] = []
        self._related = related
        self._sent: dict[str, list[str]] | None = None
        self._select: dict[str, Any] = {}
        self._area: tuple[str, bool] | None = None
        self._options: list[tuple[str, bool]] = []
        self._text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._sent = {}
            if given.get("method", "").lower() == "post":
                self.found.append((given.get("action", ""), self._sent))
        elif tag == "input":
            self._input(given, any(name == "required" for name, _ in attrs))
        elif tag == "select":
            self._select, self._options = given, []
        elif tag == "option":
            self._options.append((given.get("value", ""), "selected" in given))
        elif tag == "textarea":
            self._area, self._text = (given.get("name", ""), "required" in given), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._sent = None
        elif tag == "textarea" and self._area:
            name, required = self._area
            self._add(name, self._text.removeprefix("\n") or ("Made up" if required else ""))
            self._area = None
        elif tag == "select" and self._select:
            self._choose()
            self._select = {}

    def _input(self, given: dict[str, str], required: bool) -> None:
        kind, value = given.get("type", "text"), given.get("value", "")
        if kind in ("submit", "button", "file", "image"):
            return
        if kind in ("checkbox", "radio"):
            if "checked" in given:
                self._add(given.get("name", ""), value or "on")
            return
        made_up = TYPED.get(kind, "Made up") if required else ""
        self._add(given.get("name", ""), value or made_up)

    def _choose(self) -> None:
        name = self._select.get("name", "")
        chosen = [value for value, selected in self._options if selected]
        offered = [value for value, _ in self._options if value]
        if not any(chosen) and "multiple" not in self._select:
            field = self._select.get("data-field-name")
            if "required" in self._select or field:
                found = self._related(self._select) if field else None
                chosen = [str(found)] if found else offered[:1]
            chosen = chosen or [value for value, _ in self._options[:1]]
        for value in chosen:
            self._add(name, value)

    def _add(self, name: str, value: str) -> None:
        if self._sent is not None and name and "__prefix__" not in name:
            self._sent.setdefault(name, []).append(value)


def filled_in(text: str, address: str, related: Any) -> dict[str, Any]:
    """The largest form of the page at `address` that is sent to the page itself. `related` gives
    the id of a row for a box that searches for one."""
    path = address.partition("?")[0]
    forms = [
        sent
        for action, sent in _Forms(text, related).found
        if not action or action.partition("?")[0] == path
    ]
    return dict(max(forms, key=len)) if forms else {}
