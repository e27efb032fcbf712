/* The Test button of the HTTP API form: sends the form as it stands and shows what came back. */

const button = document.querySelector("[data-test]");
const result = document.querySelector("[data-test-result]");

function complain(text) {
  const line = Object.assign(document.createElement("p"), { className: "sb-error", textContent: text });
  result.replaceChildren(line);
}

async function test() {
  button.disabled = true;
  result.setAttribute("aria-busy", "true");
  result.replaceChildren("Asking the API. It has up to a minute to answer …");
  try {
    const answer = await fetch(button.dataset.test, { method: "POST", body: new FormData(button.form) });
    if (answer.ok || answer.status === 422) result.innerHTML = await answer.text();
    else complain(answer.status === 403 ? "You may not test this action, or you were logged out." : "The test broke. The server's log says why.");
  } catch {
    complain("The server could not be reached.");
  } finally {
    button.disabled = false;
    result.removeAttribute("aria-busy");
  }
}

button.addEventListener("click", test);
