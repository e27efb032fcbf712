/* The HTTP API's form: Test sends it as it stands and shows what came back; *Remap* and *Reset Mail
   Timeout* are done in place, so that nothing typed is lost. */

const button = document.querySelector("[data-test]");
const result = document.querySelector("[data-test-result]");

const part = (root, name) => root.querySelector(`[data-part=${name}]`);

function complain(text) {
  const line = Object.assign(document.createElement("p"), { className: "sb-error", textContent: text });
  result.replaceChildren(line);
}

/* What the server says of the mapping now takes the place of what the page said. */
function takeOver(root) {
  for (const name of ["mapping", "mail"]) {
    const fresh = part(root, name);
    const old = [...document.querySelectorAll(`[data-part=${name}]`)].find((box) => box !== fresh);
    if (fresh && old) old.replaceWith(fresh);
  }
}

async function test() {
  button.disabled = true;
  result.setAttribute("aria-busy", "true");
  result.replaceChildren("Asking the API. It has up to a minute to answer …");
  try {
    const answer = await fetch(button.dataset.test, { method: "POST", body: new FormData(button.form) });
    if (answer.ok || answer.status === 422) {
      result.innerHTML = await answer.text();
      takeOver(result);
    } else {
      complain(answer.status === 403 ? "You may not test this action, or you were logged out." : "The test broke. The server's log says why.");
    }
  } catch {
    complain("The server could not be reached.");
  } finally {
    button.disabled = false;
    result.removeAttribute("aria-busy");
  }
}

async function inPlace(form) {
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    if (!answer.ok) throw new Error(answer.status);
    takeOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
    result.replaceChildren(form.dataset.said);
  } catch {
    complain("That did not work. Reload the page and try again.");
  }
}

button.addEventListener("click", test);
for (const form of document.querySelectorAll("form[data-said]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    inPlace(form);
  });
}
