/* Lets django-unfold 0.91 run on Alpine's CSP build (script-src 'self', no unsafe-eval).

   That build sees no globals and parses neither arrow functions, template literals, `if`,
   nor several statements in one attribute.
   What unfold's templates take from the global scope is put into its own components here, and
   the few expressions that can't be parsed are replaced before Alpine reads them. */

const REPLACED = {
  "if (!$event.metaKey && !$event.ctrlKey) selectItem(false, false)":
    "!$event.metaKey && !$event.ctrlKey && selectItem(false, false)",
  "if (!$event.metaKey && !$event.ctrlKey) selectItem(true, false)":
    "!$event.metaKey && !$event.ctrlKey && selectItem(true, false)",
  "openSearchResults = true; currentIndex = 0": "openResults()",
  "openSearchResults = false; if ($refs.searchInput.value === '') { $refs.searchInput.blur() } else { $refs.searchInput.value = '' }":
    "closeResults()",
};

const MENU_SEARCH = {
  openResults() {
    this.openSearchResults = true;
    this.currentIndex = 0;
  },
  closeResults() {
    this.openSearchResults = false;
    if (this.$refs.searchInput.value === "") this.$refs.searchInput.blur();
    else this.$refs.searchInput.value = "";
  },
  // unfold's own count list items, which its results are not.
  maxItem: () => document.querySelectorAll("#search-results a").length,
  selectItem() {
    document.querySelectorAll("#search-results a")[Math.max(this.currentIndex - 1, 0)]?.click();
  },
};

function browserScope() {
  const { pathname, search, hash } = location;
  return {
    window: { location: { pathname, search, hash } },
    localStorage: {
      getItem: (key) => localStorage.getItem(key),
      setItem: (key, value) => localStorage.setItem(key, value),
    },
    // Whether the menu stays open on the next page.
    remembered: (open) => {
      localStorage.setItem("sidebarDesktopOpen", open ? "1" : "0");
      return open;
    },
    getCurrentTab: () => getCurrentTab(),
    sortRecords: (event) => sortRecords(event),
    moveRecords: (event) => moveRecords(event),
  };
}

/* The body's x-init watches the menu with an arrow function; `remembered` stores the same value. */
function withoutWatch(code) {
  const tab = /activeTab = ([^;]+);/.exec(code || "");
  return tab ? `activeTab = ${tab[1].trim()}` : "";
}

/* select2 tells jQuery alone what was chosen; x-model, which would put the old value back, listens
   to the browser's own event. */
function passOn(select) {
  window.django?.jQuery?.(select).on("change", (event) => {
    if (!event.originalEvent) select.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

function rewrite(element) {
  for (const attribute of [...element.attributes]) {
    const code = attribute.value.trim();
    if (code in REPLACED) {
      element.setAttribute(attribute.name, REPLACED[code]);
    } else if (attribute.name === "x-init" && code.startsWith("const $")) {
      // Feeds select2's value into conditional fields.
      element.removeAttribute("x-init");
      passOn(element);
    }
  }
}

/* Fields hide by what others hold; on a page that is only read, there is nothing that holds it. */
function showWhatHasNoControl(form) {
  let known;
  try {
    known = JSON.parse(form.getAttribute("x-data"));
  } catch {
    return;
  }
  for (const field of form.querySelectorAll("[x-show]")) {
    const asked = [...field.getAttribute("x-show").matchAll(/(\w+) [!=]=/g)].map((found) => found[1]);
    if (asked.some((name) => !(name in known))) field.removeAttribute("x-show");
  }
}

document.addEventListener("alpine:init", () => {
  Alpine.data("theme", (...args) => Object.assign(theme(...args), browserScope()));
  Alpine.data("searchForm", () => searchForm());
  Alpine.data("searchDropdown", () => Object.assign(searchDropdown(), MENU_SEARCH));
  Alpine.data("searchCommand", () => searchCommand());
  const body = document.body;
  body.setAttribute("x-init", withoutWatch(body.getAttribute("x-init")));
  document.querySelectorAll("form[x-data]").forEach(showWhatHasNoControl);
  document.querySelectorAll("*").forEach(rewrite);
});
