// The points of the PLC, asked twice a second while the page is seen; what has changed stands out for two seconds.
const root = document.getElementById("points");
const problem = document.getElementById("problem");
const wrote = document.getElementById("wrote");
const ASK_MS = 500;
const NEW_MS = 2000;

function show(id, [value, words, on]) {
  const row = document.getElementById(id);
  if (!row) return;
  const cell = row.querySelector(".value");
  if (cell.textContent !== value) {
    cell.textContent = value;
    row.classList.add("new");
    clearTimeout(row.timer);
    row.timer = setTimeout(() => row.classList.remove("new"), NEW_MS);
  }
  row.querySelector(".words").textContent = words;
  row.classList.toggle("on", on);
}

async function ask() {
  if (document.hidden) return;
  try {
    const reply = await fetch(root.dataset.address, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(4000) });
    const found = await reply.json();
    if (!reply.ok) throw new Error(found.problem);
    for (const [id, values] of Object.entries(found.values)) show(id, values);
    const age = found.wrote_age_s;
    wrote.textContent = age === null ? wrote.dataset.never : `${wrote.dataset.ago} ${age.toFixed(1)}`;
    problem.hidden = true;
    root.classList.remove("stale");
  } catch {
    problem.textContent = problem.dataset.silent;
    problem.hidden = false;
    root.classList.add("stale");
  }
}

async function follow() {
  await ask();
  setTimeout(follow, ASK_MS);
}
follow();
