// Keeps the sandbox phone fresh: fetches its panes every two seconds and replaces what changed.
const EVERY = 2000;
const NEAR_BOTTOM = 80;
const phone = document.getElementById("phone");
const trouble = document.getElementById("phone-trouble");
const pane = (root, name) => root.querySelector(`[data-pane=${name}]`);

function address() {
  // What is shown stays shown, also when another conversation becomes the newest.
  const { channel, address } = pane(phone, "screen").dataset;
  const query = new URLSearchParams(channel ? { channel, address } : {});
  query.set("fragment", "");
  return `${phone.dataset.url}?${query}`;
}

function replace(name, fresh) {
  const old = pane(phone, name);
  const next = pane(fresh, name);
  if (old.innerHTML === next.innerHTML) return;
  const focused = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
  old.replaceChildren(...next.childNodes);
  Object.assign(old.dataset, next.dataset);
  if (focused) old.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

function show(html) {
  const screen = pane(phone, "screen");
  const atBottom = screen.scrollHeight - screen.scrollTop - screen.clientHeight < NEAR_BOTTOM;
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const name of ["list", "top", "screen"]) replace(name, fresh);
  if (atBottom) screen.scrollTop = screen.scrollHeight;
}

function complain(text) {
  if (trouble.textContent !== text) trouble.textContent = text;
  trouble.hidden = !text;
}

async function look() {
  try {
    const answer = await fetch(address(), { redirect: "manual" });
    if (!answer.ok) throw new Error("refused");
    show(await answer.text());
    complain("");
  } catch (error) {
    complain(
      error.message === "refused"
        ? "New messages can't be shown: reload the page, you may have been logged out."
        : "No connection to the server. Trying again …",
    );
  }
}

async function keepLooking() {
  if (!document.hidden) await look();
  setTimeout(keepLooking, EVERY);
}

const screen = pane(phone, "screen");
screen.scrollTop = screen.scrollHeight;
setTimeout(keepLooking, EVERY);
