/* The list of attributes beside a form: a click puts one where the caret was last. In a box that
   takes a path it goes in bare, in any other text in {{ }}. */

const aside = document.querySelector(".bo-attributes");
const said = aside.querySelector(".bo-attributes-said");
const FIELDS = "#content-main form :is(textarea, input[type=text], input:not([type])):not([data-column]), " +
  "#content-main form :is([data-path], [data-template])";
let last = null;

document.addEventListener("focusout", (event) => {
  if (event.target.matches?.(FIELDS)) last = event.target;
});

const takesPath = (box) => box.dataset.path !== undefined;

function insert(path) {
  if (!last?.isConnected) {
    navigator.clipboard?.writeText(`{{ ${path} }}`);
    said.textContent = navigator.clipboard ? `{{ ${path} }} was copied.` : "Click into a field first.";
    return;
  }
  // In a JSON body, double quotes would end the text around the attribute.
  const spelled = last.name === "body" ? path.replaceAll('"', "'") : path;
  const text = takesPath(last) ? path : `{{ ${spelled} }}`;
  last.focus();
  last.setRangeText(text, last.selectionStart, last.selectionEnd, "end");
  last.dispatchEvent(new Event("input", { bubbles: true }));
  said.textContent = `${text} was inserted.`;
}

aside.addEventListener("click", (event) => {
  const button = event.target.closest("[data-attribute]");
  if (button) insert(button.dataset.attribute);
});

aside.querySelector("[data-attribute-search]")?.addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const item of event.target.parentElement.querySelectorAll("li")) {
    item.hidden = !item.textContent.toLowerCase().includes(wanted);
  }
});
