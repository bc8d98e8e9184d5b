// What a camera sees now: asked twice a second while the page is seen. What is old says so; the line is never asked.
const root = document.getElementById("camera");
const words = JSON.parse(root.dataset.words);
const at = (id) => document.getElementById(id);
const ASK_MS = 500;
const OLD_S = 3;
const COURSE = 60;
let course = [];
let best = 0;
let address = "";
let heardAt = 0;
let ageAt = 0;
let known = null;

function show(head, jpeg) {
  if (head.problem) {
    missing(head.problem);
    return;
  }
  known = { ...known, ...head };
  ageAt = head.age_s;
  heardAt = performance.now();
  if (!jpeg.size && root.dataset.key === head.key) return;
  root.dataset.key = head.key;
  if (jpeg.size) {
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(jpeg);
    at("picture").src = address;
    at("picture").hidden = false;
    at("missing").hidden = true;
  } else missing(head.why);
  at("saturated").textContent = head.saturated === null ? "–" : (100 * head.saturated).toFixed(2);
  at("mean").textContent = head.mean === null ? "–" : head.mean.toFixed(0);
  at("shape").setAttribute("points", head.shape);
  head.said.forEach((one, number) => {
    const place = at(number ? "focus-said" : "light-said");
    place.textContent = one.text;
    place.classList.toggle("act", one.acts);
  });
  if (head.sharpness !== null) focus(head.sharpness);
}

function focus(sharpness) {
  best = Math.max(best, sharpness);
  course = [...course, sharpness].slice(-COURSE);
  at("sharpness").textContent = sharpness.toFixed(0);
  at("best").textContent = best.toFixed(0);
  at("of-best").value = best ? sharpness / best : 0;
  const top = best * 1.1 || 1;
  const y = (value) => (30 - (28 * value) / top).toFixed(1);
  at("course-line").setAttribute("points", course.map((value, step) => `${((100 * step) / (COURSE - 1)).toFixed(1)},${y(value)}`).join(" "));
  at("best-line").setAttribute("d", `M0 ${y(best)}H100`);
}

function missing(why) {
  at("missing").textContent = why || words.none;
  at("missing").hidden = false;
  at("picture").hidden = true;
}

function age() {
  if (!known || known.part === undefined) return;
  const seconds = ageAt + (performance.now() - heardAt) / 1000;
  at("age").textContent = `${known.is_test ? words.test : `${words.part} ${known.part}`} · ${seconds.toFixed(1)} ${words.ago}`;
  at("age").classList.toggle("old", seconds > OLD_S);
}

async function ask() {
  if (document.hidden) return;
  try {
    const asked = new URLSearchParams({ camera: root.dataset.camera, have: root.dataset.key });
    const reply = await fetch(`/setup/picture?${asked}`, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(5000) });
    if (!reply.ok) throw new Error(String(reply.status));
    const body = await reply.arrayBuffer();
    const length = new DataView(body).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length)));
    show(head, new Blob([new Uint8Array(body, 4 + length)], { type: "image/jpeg" }));
  } catch {
    missing(words.silent);
    root.dataset.key = "";
  }
}

async function follow() {
  await ask();
  setTimeout(follow, ASK_MS);
}

// A trigger test, once or again and again; the picture comes the usual way.
const trial = at("trial");

async function take() {
  try {
    const body = new URLSearchParams(new FormData(trial));
    const reply = await fetch(trial.getAttribute("action"), { method: "POST", body, headers: { accept: "application/json" }, redirect: "manual" });
    const found = await reply.json();
    const mine = found.cameras?.[root.dataset.camera];
    at("trial-said").textContent = found.said || mine.why_no_picture || `${words.taken} ${mine.ms}`;
    if (!reply.ok) at("again-and-again").checked = false;
    await ask();
  } catch {
    at("trial-said").textContent = words.silent;
    at("again-and-again").checked = false;
  }
  if (at("again-and-again").checked) setTimeout(take, ASK_MS);
}

// The bar on top knows whether the line is off; only then may a camera be fired.
function allow() {
  const off = document.getElementById("line")?.classList.contains("off") ?? false;
  trial.querySelector("button").disabled = !off;
  at("again-and-again").disabled = !off;
}

if (trial) {
  setInterval(allow, 300);
  trial.addEventListener("submit", (event) => { event.preventDefault(); take(); });
  at("again-and-again").addEventListener("change", (event) => { if (event.target.checked) take(); });
}

document.documentElement.classList.add("scripted");
at("again").addEventListener("click", () => { course = []; best = 0; });
setInterval(age, 200);
follow();
