// Keeps what stands in #fresh true: asks for the page again while it is seen, and says so when nobody answers.
const EVERY_MS = 3000;
const OLD_MS = 7000;

let heardAt = performance.now();
let busy = false;

async function ask() {
  if (document.hidden || busy) return;
  const place = document.getElementById("fresh");
  if (place.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return;
  busy = true;
  try {
    const reply = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS) });
    if (!reply.ok || reply.redirected) throw new Error(reply.status);
    const next = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("fresh");
    if (!next) throw new Error("another page");
    heardAt = performance.now();
    if (next.innerHTML !== place.innerHTML) {
      const focused = place.contains(document.activeElement) ? document.activeElement.textContent : "";
      place.replaceWith(document.adoptNode(next));
      if (focused) [...next.querySelectorAll("button, a")].find((each) => each.textContent === focused)?.focus();
    }
  } catch { /* what is old is said below */ }
  busy = false;
  const old = performance.now() - heardAt > OLD_MS;
  document.getElementById("stale").hidden = !old;
  document.getElementById("fresh").classList.toggle("old", old);
}

setInterval(ask, EVERY_MS);
addEventListener("pageshow", (event) => { if (event.persisted) ask(); });
