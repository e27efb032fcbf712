/* Actions on rows of a table: the columns that are offered are those of the chosen table, and the
   operators those for the chosen column's type. Without this script all operators are offered, and
   columns after the action was saved with its table. */

const { tables, operators } = JSON.parse(document.getElementById("bo-columns").textContent);
const table = document.querySelector("select[name=table]");
const columns = () => tables[table?.value] ?? [];

function offerColumns(select) {
  const chosen = select.value;
  const kept = columns().some(([id]) => String(id) === chosen);
  const options = columns().map(([id, name]) => new Option(name, id, false, kept && String(id) === chosen));
  const hint = columns().length ? "Select value" : "Choose a table first";
  select.replaceChildren(new Option(hint, "", false, !kept), ...options);
  offerOperators(select);
}

function offerOperators(select) {
  const choices = select.closest("tr")?.querySelector("select[name$=-operator]");
  if (!choices) return;
  const column = columns().find(([id]) => String(id) === select.value);
  const groups = [...choices.querySelectorAll("optgroup")];
  for (const group of groups) {
    // One that was chosen stays, whatever the column is now.
    const suits = !column || operators[column[2]].includes(group.label) || group.contains(choices.selectedOptions[0]);
    group.hidden = group.disabled = !suits;
  }
}

const all = () => document.querySelectorAll("select[data-columns]");
all().forEach(offerColumns);
table?.addEventListener("change", () => all().forEach(offerColumns));
document.addEventListener("change", (event) => {
  if (event.target.matches?.("select[data-columns]")) offerOperators(event.target);
});
document.addEventListener("formset:added", (event) => {
  event.target.querySelectorAll("select[data-columns]").forEach(offerColumns);
});
