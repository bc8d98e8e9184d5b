// Review by key and by hand. A decision is kept in this browser until the station has said that it is saved: a reload, an
// ended login or a killed page loses nothing. The same decision is sent under the same request name, so it is saved once.
const root = document.getElementById("review");
const words = JSON.parse(root.dataset.words);
const part = root.querySelector(".part");
const form = document.getElementById("decide");
const notice = document.getElementById("notice");
const PENDING = "review-pending";
const DRAFT = part ? `review-draft-${part.dataset.item}-${part.dataset.version}` : "";
const AGAIN_MS = 2000;
const KEEP_MS = 20000;
const EMPTY_MS = 5000;
const NEAR = 0.03;
const began = performance.now();
let drawing = false;
let corners = [];
let regions = [];
let busy = false;

const say = (text) => { notice.textContent = text; notice.hidden = !text; };
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const stored = (name) => JSON.parse(sessionStorage.getItem(name) || "null");

async function send(pending) {
  busy = true;
  for (;;) {
    let reply;
    try {
      const body = new URLSearchParams({ ...pending.fields, csrf: root.dataset.csrf });
      reply = await fetch(pending.url, {
        method: "POST", body, headers: { accept: "application/json" }, redirect: "manual", signal: AbortSignal.timeout(8000),
      });
    } catch {
      say(words.kept);
      await wait(AGAIN_MS);
      continue;
    }
    if (reply.ok) {
      forget();
      location.assign("/review");
      return;
    }
    if (reply.status === 409 || reply.status === 422) {
      forget();
      await refuse(reply, pending);
      busy = false;
      return;
    }
    if (reply.status === 401 || reply.status === 403 || reply.type === "opaqueredirect") {
      say(words.login);
      const link = document.createElement("a");
      link.href = "/login?next=/review";
      link.textContent = " ▶";
      link.className = "button";
      notice.append(link);
      return;
    }
    say(words.kept);
    await wait(AGAIN_MS);
  }
}

async function refuse(reply, pending) {
  const { why, said = [] } = await reply.json();
  if (reply.status === 422) { say(why); return; }
  const others = said.map((one) => `${one.reviewer}: ${one.label}`).join(" · ");
  sessionStorage.setItem("review-conflict", JSON.stringify({ why, others, yours: pending.fields.answer }));
  location.assign("/review");
}

function forget() {
  sessionStorage.removeItem(PENDING);
  if (DRAFT) sessionStorage.removeItem(DRAFT);
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
  const pending = { url: form.getAttribute("action"), fields };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  send(pending);
}

function keepDraft() {
  const chosen = form.querySelector("[name=class]:checked");
  const draft = { note: form.elements.note.value, chosen: chosen ? chosen.value : "", regions };
  sessionStorage.setItem(DRAFT, JSON.stringify(draft));
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

const submit = (name) => document.getElementById(name)?.requestSubmit();
const compare = () => {
  const button = document.getElementById("compare");
  if (button) toggle(button, root.querySelectorAll(".good"));
};
const KEYS = {
  g: () => decide("good"),
  d: () => decide("defective"),
  u: () => decide("unsure"),
  z: () => { if (!busy) submit("undo"); },
  l: () => { if (!busy) submit("later"); },
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

function begin() {
  const conflict = stored("review-conflict");
  if (conflict) {
    sessionStorage.removeItem("review-conflict");
    say(`${conflict.why}${conflict.others ? ` (${conflict.others})` : ""}. ${conflict.yours}`);
    notice.classList.add("bad");
  }
  if (!part) {
    if (root.querySelector(".nothing")) setTimeout(() => location.assign("/review"), EMPTY_MS);
    return;
  }
  form.addEventListener("submit", (event) => { event.preventDefault(); decide(event.submitter?.value ?? "unsure"); });
  form.addEventListener("input", keepDraft);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.name === "note") { event.preventDefault(); event.target.blur(); }
  });
  document.getElementById("heat").addEventListener("click", KEYS.h);
  document.getElementById("compare")?.addEventListener("click", compare);
  document.getElementById("region").addEventListener("click", KEYS.r);
  document.getElementById("help").addEventListener("click", KEYS["?"]);
  root.querySelector(".views").addEventListener("click", corner);
  heat(sessionStorage.getItem("review-heat") !== "off");
  const draft = stored(DRAFT);
  if (draft) {
    form.elements.note.value = draft.note;
    for (const each of form.querySelectorAll("[name=class]")) each.checked = each.value === draft.chosen;
    regions = draft.regions;
    draw();
  }
  setInterval(async () => {
    if (document.hidden || busy) return;
    try {
      const url = form.getAttribute("action").replace(/decide$/, "keep");
      const reply = await fetch(url, { method: "POST", body: new URLSearchParams({ csrf: root.dataset.csrf }), redirect: "manual" });
      if (reply.ok && !(await reply.json()).kept) say(words.gone);
    } catch { /* the bar on top says that the station does not answer; the decision is kept when it is made */ }
  }, KEEP_MS);
}

begin();
root.dataset.ready = "";
const pending = stored(PENDING);
if (pending) send(pending);
