/* Draws a small table over the text area of a RowsWidget and keeps the text area's JSON up to date.
   Without this script the text area itself can be edited. */

let count = 0;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class" || name.includes("-") || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

const icon = (name) => make("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, name);

class Rows {
  constructor(box) {
    this.area = box.querySelector("textarea");
    this.columns = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    this.list = make("ol", { class: "bo-rows-list" });
    const label = document.querySelector(`label[for="${this.area.id}"]`);
    if (label) {
      label.id ||= `${this.area.id}-label`;
      label.removeAttribute("for");
      this.list.setAttribute("aria-labelledby", label.id);
    }
    this.adder = make("button", { type: "button", class: "bo-rows-add" }, icon("add"), box.dataset.addLabel);
    this.adder.addEventListener("click", () => this.add({}, true));
    this.said = make("span", { class: "bo-hidden", role: "status" });
    this.area.hidden = true;
    box.append(this.list, this.adder, this.said);
    this.read().forEach((row) => this.add(row));
    if (!this.list.children.length) this.add({});
  }

  read() {
    try {
      const rows = JSON.parse(this.area.value || "[]");
      return Array.isArray(rows) ? rows : [];
    } catch {
      return [];
    }
  }

  write() {
    const rows = [...this.list.children].map((line) =>
      Object.fromEntries([...line.querySelectorAll("[data-column]")].map((box) => [box.dataset.column, box.value])));
    const filled = rows.filter((row) => Object.values(row).some((value) => value.trim()));
    this.area.value = JSON.stringify(filled);
    this.show();
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  add(row, focus = false) {
    const line = make("li", {}, ...this.columns.map((column) => this.cell(column, row)), this.tools());
    line.addEventListener("input", (event) => { event.stopPropagation(); this.write(); });
    this.list.append(line);
    this.number();
    this.show();
    if (focus) line.querySelector("[data-column]").focus();
  }

  /* Boxes that don't concern their row are left out; where they concern no row, the whole column. */
  show() {
    for (const column of this.columns.filter((one) => one.shows_when)) {
      const [other, values] = column.shows_when;
      const cells = [...this.list.querySelectorAll(`.bo-rows-${column.name}`)];
      const concerned = (cell) =>
        values.includes(cell.parentElement.querySelector(`[data-column="${other}"]`).value);
      for (const cell of cells) {
        cell.hidden = !cells.some(concerned);
        cell.classList.toggle("bo-vacant", !concerned(cell));
      }
    }
  }

  cell(column, row) {
    const id = `${this.area.id}-${column.name}-${++count}`;
    const value = String(row[column.name] ?? "");
    const box = column.groups.length ? this.select(column, value) : make("input", { type: "text", value });
    box.id = id;
    box.dataset.column = column.name;
    box.autocomplete = "off";
    if (column.attributes) box.dataset.template = "";
    if (column.path) {
      box.dataset.path = "";
      box.setAttribute("list", "bo-paths");
    }
    if (column.placeholder) box.placeholder = column.placeholder;
    const labelled = column.groups.some(([group]) => group) ? this.withGroup(box) : box;
    return make("div", { class: `bo-rows-cell bo-rows-${column.name}` }, make("label", { for: id }, column.label), labelled);
  }

  select(column, value) {
    const select = make("select");
    for (const [group, choices] of column.groups) {
      const options = choices.map(([key, label]) => make("option", { value: key, selected: key === value }, label));
      select.append(...(group ? [make("optgroup", { label: group }, ...options)] : options));
    }
    // A choice that has gone from the list must not turn into another one unseen.
    if (!column.groups.some(([, choices]) => choices.some(([key]) => key === value))) {
      select.prepend(make("option", { value, selected: true }, value ? `${value} (not in the list)` : "Choose"));
    }
    return select;
  }

  /* A closed list shows its choice alone: the group is written in front of it. */
  withGroup(select) {
    const name = make("span", { "aria-hidden": "true" });
    const show = () => { name.textContent = select.selectedOptions[0]?.closest("optgroup")?.label ?? ""; };
    select.addEventListener("change", show);
    show();
    return make("div", { class: "bo-rows-grouped" }, name, select);
  }

  tools() {
    const up = make("button", { type: "button", "data-what": "up" }, icon("arrow_upward"));
    const down = make("button", { type: "button", "data-what": "down" }, icon("arrow_downward"));
    const remove = make("button", { type: "button", "data-what": "remove" }, icon("close"));
    up.addEventListener("click", () => this.move(up, -1));
    down.addEventListener("click", () => this.move(down, 1));
    remove.addEventListener("click", () => this.remove(remove.closest("li")));
    return make("span", { class: "bo-rows-tools" }, up, down, remove);
  }

  move(button, by) {
    const line = button.closest("li");
    const other = by < 0 ? line.previousElementSibling : line.nextElementSibling;
    if (!other) return;
    by < 0 ? other.before(line) : other.after(line);
    this.number();
    this.write();
    button.focus();
    this.said.textContent = `Row ${[...this.list.children].indexOf(line) + 1} of ${this.list.children.length}`;
  }

  remove(line) {
    const next = line.nextElementSibling || line.previousElementSibling;
    line.remove();
    this.number();
    this.write();
    (next?.querySelector("[data-what=remove]") || this.adder).focus();
    this.said.textContent = "Row removed";
  }

  number() {
    [...this.list.children].forEach((line, index) => {
      const row = index + 1;
      for (const button of line.querySelectorAll("[data-what]")) {
        const words = { up: `Move row ${row} up`, down: `Move row ${row} down`, remove: `Remove row ${row}` };
        button.title = words[button.dataset.what];
        button.setAttribute("aria-label", words[button.dataset.what]);
      }
      line.setAttribute("aria-label", `Row ${row}`);
    });
  }
}

document.querySelectorAll("[data-rows]").forEach((box) => new Rows(box));
