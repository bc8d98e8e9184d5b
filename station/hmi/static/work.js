// Shows how far a work is while the page is open; the work itself goes on without any page.
const ASK_MS = 1000;

const box = document.getElementById("work");

async function ask() {
  if (document.hidden) return;
  try {
    const reply = await fetch(box.dataset.state, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!reply.ok) throw new Error(reply.status);
    const work = await reply.json();
    box.querySelector(".problem").hidden = true;
    if (work.phase !== "running") {
      location.replace(location.href.split("#")[0]);
      return;
    }
    const bar = box.querySelector("progress");
    if (work.total > 0) {
      bar.max = work.total;
      bar.value = work.done;
    }
    box.querySelector(".step").textContent = work.total > 0 ? `${work.step} ${work.done} / ${work.total}` : work.step;
  } catch {
    box.querySelector(".problem").hidden = false;
  }
}

if (box?.dataset.phase === "running") setInterval(ask, ASK_MS);

// A form that waits for its answer says so, and is not sent twice.
for (const form of document.querySelectorAll("form[data-waits]")) {
  form.addEventListener("submit", () => {
    setTimeout(() => { for (const button of form.querySelectorAll("button")) button.disabled = true; });
    const waits = form.querySelector(".waits");
    if (waits) waits.hidden = false;
  });
  addEventListener("pageshow", () => { for (const button of form.querySelectorAll("button")) button.disabled = false; });
}
