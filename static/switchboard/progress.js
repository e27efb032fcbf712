// Keeps the state of a long job up to date: asks for it every second until the job has ended.

const EVERY = 1000;

async function refresh(region) {
  if (!document.hidden) {
    try {
      const answer = await fetch(region.dataset.poll, { headers: { Accept: "text/html" } });
      // Logged out, or gone: what stands there is the last that is known.
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-job]");
      if (!fresh) return;
      const focused = document.activeElement?.id;
      region.replaceWith(fresh);
      if (focused) document.getElementById(focused)?.focus();
      region = fresh;
    } catch {
      // The server is away for a moment: ask again.
    }
  }
  wait(region);
}

function wait(region) {
  if (region?.dataset.poll) setTimeout(() => refresh(region), EVERY);
}

wait(document.querySelector("[data-job]"));
