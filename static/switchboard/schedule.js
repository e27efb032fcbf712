/* The form of a schedule: what is typed is read back in words, with the next times. */

const place = document.querySelector("[data-preview]");
const cron = document.querySelector("#id_cron");
const timezone = document.querySelector("#id_timezone");
let asked = 0;
let timer;

async function show() {
  const number = ++asked;
  const query = new URLSearchParams({ cron: cron.value, timezone: timezone.value });
  const answer = await fetch(`${place.dataset.preview}?${query}`).catch(() => null);
  // An answer that comes after a later question is stale.
  if (number === asked && answer?.ok) place.innerHTML = await answer.text();
}

if (place && cron && timezone) {
  cron.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, 250);
  });
  timezone.addEventListener("change", show);
  if (cron.value.trim()) show();
}
