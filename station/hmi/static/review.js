// Review by key and by hand. A decision is kept in this browser until the station has said that it is saved: a reload, an
// ended login or a killed page loses nothing. The same decision is sent under the same request name, so it is saved once.
// The next part comes into the page that is open, with the pictures that were loaded ahead.
const root = document.getElementById("review");
const words = JSON.parse(root.dataset.words);
const PENDING = "review-pending";
const AGAIN_MS = 2000;
const ANSWER_MS = 8000;
const KEEP_MS = 20000;
const EMPTY_MS = 5000;
const SETTLE_MS = 300; // the second half of a double click was for the part before
const NEAR = 0.03;
let part = null;
let form = null;
let draftName = "";
let began = 0;
let drawing = false;
let corners = [];
let regions = [];
let busy = false;

const say = (text, bad = false) => {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.hidden = !text;
  notice.classList.toggle("bad", bad);
  return notice;
};
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const stored = (name) => JSON.parse(sessionStorage.getItem(name) || "null");

async function send(pending) {
  busy = true;
  for (;;) {
    let reply;
    try {
      const body = new URLSearchParams({ ...pending.fields, csrf: root.dataset.csrf });
      reply = await fetch(pending.url, {
        method: "POST", body, headers: { accept: "application/json" }, redirect: "manual", signal: AbortSignal.timeout(ANSWER_MS),
      });
    } catch {
      say(words.kept);
      await wait(AGAIN_MS);
      continue;
    }
    if (reply.ok) {
      forget(pending);
      await turn();
      return;
    }
    if (reply.status === 409 || reply.status === 422) {
      const { why, said = [] } = await reply.json();
      forget(pending);
      if (reply.status === 409) {
        const others = said.map((one) => `${one.reviewer}: ${one.label}`).join(" · ");
        await turn();
        say(`${why}${others ? ` (${others})` : ""}. ${pending.fields.answer}`, true);
      } else {
        say(why);
        busy = false;
      }
      return;
    }
    if (reply.status === 401 || reply.status === 403 || reply.type === "opaqueredirect") {
      const link = document.createElement("a");
      link.href = "/login?next=/review";
      link.textContent = " ▶";
      link.className = "button";
      say(words.login).append(link);
      return;
    }
    say(words.kept);
    await wait(AGAIN_MS);
  }
}

function forget(pending) {
  sessionStorage.removeItem(PENDING);
  sessionStorage.removeItem(pending.draft);
}

function decide(answer) {
  if (!form || busy) return;
  const fields = Object.fromEntries(new FormData(form));
  delete fields.csrf;
  fields.answer = answer;
  fields.took_ms = String(Math.round(performance.now() - began));
  fields.heat = part.dataset.heat === "off" ? "0" : "1";
  fields.regions = JSON.stringify(regions);
  fields.request = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const pending = { url: form.getAttribute("action"), draft: draftName, fields };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  send(pending);
}

// What the station shows now, or after what was sent to it; null: another page, as after the end of a login.
async function fetched(url, body) {
  const reply = await fetch(url, { method: body ? "POST" : "GET", body, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
  if (reply.status >= 500) throw new Error(reply.status);
  return new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("review");
}

async function turn() {
  busy = true;
  for (;;) {
    let next;
    try {
      next = await fetched("/review");
    } catch {
      say(words.next);
      await wait(AGAIN_MS);
      continue;
    }
    await show(next);
    return;
  }
}

// Undo and later: nothing is kept of them, so a person asks again.
async function ask(asked) {
  if (busy) return;
  busy = true;
  let next;
  try {
    next = await fetched(asked.getAttribute("action"), new URLSearchParams(new FormData(asked)));
  } catch {
    say(words.silent, true);
    busy = false;
    return;
  }
  await show(next);
}

async function show(next) {
  if (!next) {
    location.assign("/review");
    return;
  }
  delete root.dataset.ready;
  const ahead = next.querySelector(".ahead");
  ahead.remove(); // what comes after is not loaded before this part is seen
  document.adoptNode(next);
  const loaded = new Map([...root.querySelectorAll(".ahead img")].map((image) => [image.getAttribute("src"), image]));
  for (const image of next.querySelectorAll(".view .canvas img")) {
    const same = loaded.get(image.getAttribute("src"));
    if (!same) continue;
    same.className = image.className;
    same.alt = image.alt;
    image.replaceWith(same);
  }
  root.dataset.csrf = next.dataset.csrf;
  root.replaceChildren(...next.childNodes);
  scrollTo(0, 0);
  begin();
  root.querySelector(".about")?.focus({ preventScroll: true });
  await Promise.allSettled([...root.querySelectorAll(".view .canvas img")].map((image) => image.decode()));
  began = performance.now();
  requestAnimationFrame(() => setTimeout(() => root.append(document.adoptNode(ahead))));
  await wait(SETTLE_MS);
  ready();
}

function ready() {
  busy = false;
  root.dataset.ready = "";
}

function keepDraft() {
  const chosen = form.querySelector("[name=class]:checked");
  const draft = { note: form.elements.note.value, chosen: chosen ? chosen.value : "", regions };
  sessionStorage.setItem(draftName, JSON.stringify(draft));
}

function shape(kind, points, under) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  made.setAttribute("points", points.map((point) => point.join(",")).join(" "));
  if (under) made.setAttribute("class", "under");
  return made;
}

function draw() {
  for (const view of root.querySelectorAll(".view")) {
    const svg = view.querySelector(".drawn");
    if (!svg) continue;
    const shapes = regions.filter((one) => one.camera === view.dataset.camera).map((one) => ["polygon", one.points]);
    if (corners.length && corners[0].camera === view.dataset.camera) shapes.push(["polyline", corners.map((one) => one.at)]);
    svg.replaceChildren(...shapes.flatMap(([kind, points]) => [shape(kind, points, true), shape(kind, points, false)]));
  }
}

function corner(event) {
  const canvas = event.target.closest(".view .canvas");
  if (!drawing || !canvas) return;
  const box = canvas.getBoundingClientRect();
  const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * 10000) / 10000;
  const at = [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  const camera = canvas.closest(".view").dataset.camera;
  if (corners.length && corners[0].camera !== camera) corners = [];
  const first = corners[0];
  if (corners.length >= 3 && Math.hypot(at[0] - first.at[0], at[1] - first.at[1]) < NEAR) {
    regions.push({ camera, points: corners.map((one) => one.at) });
    corners = [];
    mark(false);
  } else if (corners.length < 256) {
    corners.push({ camera, at });
  }
  draw();
  keepDraft();
}

const pressed = (button, is) => button?.setAttribute("aria-pressed", String(is));

function mark(on) {
  drawing = on;
  if (!on) corners = [];
  part.toggleAttribute("data-drawing", on);
  pressed(document.getElementById("region"), on);
  say(on ? words.corners : "");
  draw();
}

function heat(on) {
  part.dataset.heat = on ? "on" : "off";
  pressed(document.getElementById("heat"), on);
  sessionStorage.setItem("review-heat", on ? "on" : "off");
}

function toggle(button, target) {
  const on = button.getAttribute("aria-pressed") !== "true";
  pressed(button, on);
  for (const each of target) each.hidden = !on;
}

const compare = () => {
  const button = document.getElementById("compare");
  if (button) toggle(button, root.querySelectorAll(".good"));
};
const askBy = (name) => { const asked = document.getElementById(name); if (asked) ask(asked); };
const KEYS = {
  g: () => decide("good"),
  d: () => decide("defective"),
  u: () => decide("unsure"),
  z: () => askBy("undo"),
  l: () => askBy("later"),
  h: () => heat(part.dataset.heat === "off"),
  b: compare,
  r: () => mark(!drawing),
  "?": () => toggle(document.getElementById("help"), [document.getElementById("keys")]),
  Escape: () => mark(false),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const writes = event.target.matches("input:not([type=radio]), textarea, select");
  if (writes) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const chosen = /^[1-9]$/.test(event.key) && root.querySelector(`[data-key="${event.key}"]`);
  if (chosen) {
    chosen.checked = !chosen.checked;
    keepDraft();
  } else if (KEYS[event.key] && (part || event.key === "z")) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

root.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target === form) decide(event.submitter?.value ?? "unsure");
  else ask(event.target);
});
root.addEventListener("input", (event) => { if (form?.contains(event.target)) keepDraft(); });
root.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.name === "note") { event.preventDefault(); event.target.blur(); }
});
root.addEventListener("click", (event) => {
  const button = event.target.closest("button[type=button]");
  if (button) ({ heat: KEYS.h, compare, region: KEYS.r, help: KEYS["?"] })[button.id]?.();
  else if (part) corner(event);
});

// Begins with the part that stands in the page.
function begin() {
  part = root.querySelector(".part");
  form = document.getElementById("decide");
  began = performance.now();
  corners = [];
  regions = [];
  drawing = false;
  if (!part) return;
  draftName = `review-draft-${part.dataset.item}-${part.dataset.version}`;
  heat(sessionStorage.getItem("review-heat") !== "off");
  const draft = stored(draftName);
  if (draft) {
    form.elements.note.value = draft.note;
    for (const each of form.querySelectorAll("[name=class]")) each.checked = each.value === draft.chosen;
    regions = draft.regions;
    draw();
  }
}

setInterval(async () => {
  if (document.hidden || busy || !form) return;
  try {
    const url = form.getAttribute("action").replace(/decide$/, "keep");
    const reply = await fetch(url, { method: "POST", body: new URLSearchParams({ csrf: root.dataset.csrf }), redirect: "manual" });
    if (reply.ok && !(await reply.json()).kept) say(words.gone);
  } catch { /* the bar on top says that the station does not answer; the decision is kept when it is made */ }
}, KEEP_MS);

setInterval(() => { if (!busy && root.querySelector(".nothing")) turn(); }, EMPTY_MS);

begin();
ready();
const pending = stored(PENDING);
if (pending) send(pending);
