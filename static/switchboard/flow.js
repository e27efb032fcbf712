/* The flow page: ordering by drag, by keyboard and by buttons; steps and actions edited in place.
   Every edit is a POST that names the version of the draft that the page shows. */

const flow = document.getElementById("flow");
const said = document.getElementById("flow-said");
const toastBox = document.getElementById("flow-toast");
const canvas = () => document.getElementById("flow-canvas");
const bar = () => document.getElementById("flow-bar");

// --- telling -------------------------------------------------------------------------------------

let toastTimer;

function toast(text, { error = false, reload = false } = {}) {
  toastBox.replaceChildren(text);
  toastBox.classList.toggle("flow-error", error);
  if (reload) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Reload" });
    button.addEventListener("click", () => location.reload());
    toastBox.append(button);
  }
  toastBox.hidden = false;
  clearTimeout(toastTimer);
  if (!reload) toastTimer = setTimeout(() => { toastBox.hidden = true; }, 6000);
}

function say(text) {
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}

// --- asking the server ---------------------------------------------------------------------------

/* One after the other: each request names the version that the one before it brought. */
let queue = Promise.resolve();
const edit = (name, sent) => (queue = queue.then(() => send(name, sent)));

async function send(name, sent) {
  let response, answer;
  try {
    response = await fetch(`${location.pathname}${name}/`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": flow.dataset.csrf },
      body: JSON.stringify({ ...sent, version: Number(bar().dataset.version) }),
    });
    answer = await response.json();
  } catch {
    toast("Not saved: the server could not be reached, or you were logged out.", { error: true, reload: true });
    return false;
  }
  if (!response.ok) {
    const stale = response.status !== 422;
    const hint = response.status === 409 ? " Reload the page to see it, then do it again." : "";
    toast(`Not saved. ${answer.error}${hint}`, { error: true, reload: stale });
    return false;
  }
  answer.html.forEach(show);
  if (answer.message) toast(answer.message);
  return true;
}

function show(html) {
  const box = document.createElement("template");
  box.innerHTML = html;
  const fresh = box.content.querySelector("[id^=flow-]");
  document.getElementById(fresh.id).replaceWith(fresh);
  if (fresh.id === "flow-canvas") makeSortable();
}

// --- order ---------------------------------------------------------------------------------------

const lists = () => [...canvas().querySelectorAll(".flow-actions")];
const steps = () => [...canvas().querySelectorAll(".flow-step")];
const actionsOf = (list) => [...list.querySelectorAll(":scope > .flow-action")];
const place = (item) => [...item.parentElement.children].indexOf(item) + 1;

function describe(item) {
  const list = item.parentElement;
  const step = list.closest(".flow-step");
  const where = step && list !== step.parentElement ? ` in ${step.dataset.name}` : "";
  return `${item.dataset.name}: position ${place(item)} of ${list.children.length}${where}`;
}

function saveActions(item, touched) {
  const layout = {};
  for (const list of new Set(touched)) {
    layout[list.dataset.step] = actionsOf(list).map((action) => Number(action.dataset.action));
  }
  say(describe(item));
  return edit("order-actions", { layout });
}

function saveSteps(item) {
  steps().forEach((step, index) => {
    step.querySelector(".flow-number").textContent = index + 1;
  });
  say(describe(item));
  return edit("order-steps", { order: steps().map((step) => Number(step.dataset.step)) });
}

function moveAction(action, by) {
  const from = action.parentElement;
  const neighbour = by < 0 ? action.previousElementSibling : action.nextElementSibling;
  let to = from;
  if (neighbour) {
    by < 0 ? neighbour.before(action) : neighbour.after(action);
  } else {
    to = lists()[lists().indexOf(from) + by];
    if (!to) return say(`${action.dataset.name} is ${by < 0 ? "first" : "last"} already`);
    by < 0 ? to.append(action) : to.prepend(action);
  }
  saveActions(action, [from, to]);
}

function moveStep(step, by) {
  const neighbour = by < 0 ? step.previousElementSibling : step.nextElementSibling;
  if (!neighbour) return say(`${step.dataset.name} is ${by < 0 ? "first" : "last"} already`);
  by < 0 ? neighbour.before(step) : neighbour.after(step);
  saveSteps(step);
}

function makeSortable() {
  const shared = { animation: 120, ghostClass: "flow-ghost", delayOnTouchOnly: true, delay: 80 };
  const moved = (event) => event.from !== event.to || event.oldIndex !== event.newIndex;
  for (const list of lists()) {
    new Sortable(list, {
      ...shared,
      group: "actions",
      draggable: ".flow-action",
      handle: ".flow-grip",
      onEnd: (event) => moved(event) && saveActions(event.item, [event.from, event.to]),
    });
  }
  new Sortable(canvas().querySelector(".flow-steps"), {
    ...shared,
    draggable: ".flow-step",
    handle: ".flow-step-grip",
    onEnd: (event) => moved(event) && saveSteps(event.item),
  });
}

// --- questions -----------------------------------------------------------------------------------

const dialog = document.getElementById("ask");
const input = document.getElementById("ask-input");

/* Resolves to the typed name (or "yes"), or to null. */
function ask({ title, text = "", button, name, danger = false }) {
  const yes = document.getElementById("ask-yes");
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-label").hidden = name === undefined;
  input.required = name !== undefined;
  input.value = name ?? "";
  yes.textContent = button;
  yes.classList.toggle("flow-danger", danger);
  dialog.returnValue = "";
  dialog.showModal();
  if (name !== undefined) input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const agreed = dialog.returnValue === "yes";
      resolve(agreed ? (name === undefined ? "yes" : input.value.trim()) : null);
    }, { once: true });
  });
}

// Enter in the name means the answer, not the first button.
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  document.getElementById("ask-yes").click();
});

async function addStep() {
  const name = await ask({ title: "Add a step", button: "Add step", name: `Step ${steps().length + 1}` });
  if (name && await edit("add-step", { name })) {
    const added = steps().at(-1);
    added.querySelector("[data-add-action]").focus();
    added.scrollIntoView({ block: "nearest" });
  }
}

async function renameStep(step) {
  const name = await ask({ title: "Rename the step", button: "Rename", name: step.dataset.name });
  if (name && name !== step.dataset.name) {
    await edit("rename-step", { step: Number(step.dataset.step), name });
  }
}

async function deleteStep(step) {
  const count = step.querySelectorAll(".flow-action").length;
  const content = count ? ` with its ${count === 1 ? "action" : `${count} actions`}` : "";
  const title = `Delete "${step.dataset.name}"${content}?`;
  const text = "It goes from this draft. Revisions that were published keep it.";
  if (await ask({ title, text, button: "Delete step", danger: true })) {
    await edit("delete-step", { step: Number(step.dataset.step) });
  }
}

async function deleteAction(action) {
  const title = `Delete "${action.dataset.name}"?`;
  const text = "It goes from this draft. Revisions that were published keep it.";
  if (await ask({ title, text, button: "Delete action", danger: true })) {
    await edit("delete-action", { action: Number(action.dataset.action) });
  }
}

function switchAction(action, to) {
  return edit("switch-action", { action: Number(action.dataset.action), enabled: to === "on" });
}

// --- listening -----------------------------------------------------------------------------------

const DOES = {
  "[data-add-step]": addStep,
  "[data-rename-step]": (button) => renameStep(button.closest(".flow-step")),
  "[data-delete-step]": (button) => deleteStep(button.closest(".flow-step")),
  "[data-move-step]": (button) => moveStep(button.closest(".flow-step"), Number(button.dataset.moveStep)),
  "[data-delete-action]": (button) => deleteAction(button.closest(".flow-action")),
  "[data-switch]": (button) => switchAction(button.closest(".flow-action"), button.dataset.switch),
  "[data-move]": (button) => {
    moveAction(button.closest(".flow-action"), Number(button.dataset.move));
    button.focus();
  },
};

function closeMenus(except) {
  document.querySelectorAll("details.flow-menu[open]").forEach((menu) => {
    if (menu !== except) menu.open = false;
  });
}

document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("summary")?.parentElement);
  for (const [selector, does] of Object.entries(DOES)) {
    const button = event.target.closest(selector);
    if (button) return does(button);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = document.querySelector("details.flow-menu[open]");
    closeMenus();
    menu?.querySelector("summary").focus();
  }
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!event.altKey || !by || dialog.open) return;
  const focused = document.activeElement;
  const action = focused.closest(".flow-action");
  const step = focused.closest("[data-step-title]")?.closest(".flow-step");
  if (!action && !step) return;
  event.preventDefault();
  action ? moveAction(action, by) : moveStep(step, by);
  focused.focus();
});

makeSortable();
