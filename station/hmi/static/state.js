// Keeps the word on top of every page true: the state of the line, asked every two seconds while the page is seen.
// After three seconds without an answer the state is not known, whatever was there before.
const ASK_MS = 2000;
const OLD_MS = 3000;

const word = document.getElementById("line");
let heardAt = performance.now();

function show(state) {
  const text = word.dataset[state];
  if (word.textContent.trim() === text) return;
  word.className = `line ${state}`;
  word.textContent = text;
}

async function ask() {
  if (document.hidden) return;
  try {
    const reply = await fetch("/state.json", { cache: "no-store", signal: AbortSignal.timeout(ASK_MS) });
    const state = await reply.json();
    if (!reply.ok || state.problem) throw new Error(state.problem);
    heardAt = performance.now();
    show(state.online ? "on" : "off");
  } catch {
    if (performance.now() - heardAt > OLD_MS) show("unknown");
  }
}

if (word) {
  setInterval(ask, ASK_MS);
  const look = () => { show("unknown"); ask(); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  addEventListener("pageshow", (event) => { if (event.persisted) look(); });
}
