/* Rows of an action in which some fields only concern certain values of another one: each row shows
   those that concern it, and as at most one does, they share a column. */

const SELECTOR = "[data-shows-when]";
const dependent = (row) => [...row.querySelectorAll(SELECTOR)];

/* "what has_tag has_no_tag": the field that decides, and the values that show this one. */
function concerns(box, row) {
  const [other, ...values] = box.dataset.showsWhen.split(" ");
  return values.includes(row.querySelector(`[name$="-${other}"]`).value);
}

function update(row) {
  const boxes = dependent(row);
  // One cell always stays, so that what stands behind it keeps its column.
  const shown = boxes.find((box) => concerns(box, row)) ?? boxes[0];
  for (const box of boxes) {
    const cell = box.closest("td");
    cell.hidden = box !== shown;
    cell.classList.toggle("bo-vacant", !concerns(box, row));
  }
}

/* One head for the shared column, with what the heads of all had to say. */
function joinHeads(table) {
  const names = new Set(dependent(table).map((box) => box.name.split("-").at(-1)));
  const heads = [...names].map((name) => table.querySelector(`thead .column-${name}`));
  const words = heads.map((head) => head.querySelector("span span").textContent.trim());
  const [first, ...rest] = words;
  const last = rest.pop()?.toLowerCase();
  const title = [[first, ...rest.map((word) => word.toLowerCase())].join(", "), last].filter(Boolean).join(" or ");
  const carrier = heads.find((head) => head.querySelector("[title]")) ?? heads[0];
  carrier.querySelector("span span").textContent = title;
  for (const head of heads) head.hidden = head !== carrier;
}

const rows = new Set([...document.querySelectorAll(SELECTOR)].map((box) => box.closest("tr")));
rows.forEach(update);
new Set([...rows].map((row) => row.closest("table"))).forEach(joinHeads);

document.addEventListener("change", (event) => {
  const row = event.target.closest("tr");
  if (row?.querySelector(SELECTOR)) update(row);
});
document.addEventListener("formset:added", (event) => {
  const row = event.target.querySelector(SELECTOR)?.closest("tr");
  if (row) update(row);
});
