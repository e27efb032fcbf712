/* The palette of *Add action*: opened for one step, searched by typing, left by a link. */

const palette = document.getElementById("palette");
const search = document.getElementById("palette-search");
const items = [...palette.querySelectorAll("li")];

function filter() {
  const words = search.value.trim().toLowerCase().split(/\s+/);
  for (const item of items) {
    item.hidden = !words.every((word) => item.dataset.words.includes(word));
  }
  let any = false;
  for (const section of palette.querySelectorAll("[data-category]")) {
    section.hidden = !section.querySelector("li:not([hidden])");
    any ||= !section.hidden;
  }
  palette.querySelector(".flow-nothing").hidden = any;
}

function open(step) {
  for (const link of palette.querySelectorAll("[data-add-url]")) {
    link.href = `${link.dataset.addUrl}?step=${step}`;
  }
  search.value = "";
  filter();
  palette.showModal();
  search.focus();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-add-action]");
  if (opener) open(opener.dataset.addAction);
});

palette.addEventListener("click", (event) => {
  const jump = event.target.closest("[data-jump]");
  if (jump) {
    search.value = "";
    filter();
    palette.querySelector(`[data-category="${jump.dataset.jump}"]`).scrollIntoView({ block: "start" });
  } else if (event.target === palette || event.target.closest("[data-close]")) {
    palette.close();
  }
});

search.addEventListener("input", filter);
search.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  palette.querySelector("li:not([hidden]) a")?.click();
});
