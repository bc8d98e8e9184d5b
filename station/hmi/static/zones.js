// Zones drawn with mouse, finger and keys. The fields of the list are the one truth; the picture shows and changes them.
// What is drawn and not saved stays in this browser until the settings it was drawn for are others.
const form = document.getElementById("zones");
const list = document.getElementById("list");
const svg = document.getElementById("drawn");
const at = (id) => document.getElementById(id);
const mayDraw = Boolean(at("rectangle"));
const DRAFT = `zones-${form.dataset.key}`;
const STEP = 0.005;
const FINE = 0.001;
const NEAR_PX = 24;
const MOST = 256;
let chosen = -1;
let corner = 0;
let mode = "";
let begun = [];
let drag = null;
let past = [];

document.documentElement.classList.add("scripted");
const clamp = (value) => Math.round(Math.min(1, Math.max(0, value)) * 10000) / 10000;
const fieldsets = () => [...list.querySelectorAll("[data-zone]")];
const part = (fieldset, name) => fieldset.querySelector(`[name$=".${name}"]`);
const outline = (fieldset) => part(fieldset, "polygon").value.trim().split(/\s+/).filter(Boolean)
  .map((pair) => pair.split(",").map(Number)).filter((pair) => pair.length === 2 && pair.every(Number.isFinite));
const setOutline = (fieldset, points) => { part(fieldset, "polygon").value = points.map((each) => each.join(",")).join(" "); };

function turn(a, b, c) { return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]); }
function crosses(points) {
  const sides = points.map((point, number) => [point, points[(number + 1) % points.length]]);
  return sides.some(([a, b], first) => sides.slice(first + 1).some(([c, d]) =>
    turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0));
}

// ---- the list --------------------------------------------------------------------------------------------------

function state() {
  return fieldsets().map((fieldset) => Object.fromEntries([...fieldset.querySelectorAll("input[name]")].map(
    (input) => [input.name.replace(/^zone\w+\./, ""), input.type === "checkbox" ? input.checked : input.value])));
}

function load(zones) {
  list.replaceChildren(...zones.map((zone) => {
    const fieldset = at("zone").content.firstElementChild.cloneNode(true);
    for (const [name, value] of Object.entries(zone)) {
      const input = part(fieldset, name);
      if (!input) continue;
      if (input.type === "checkbox") input.checked = value; else input.value = value;
    }
    return fieldset;
  }));
  renumber();
}

function renumber() {
  fieldsets().forEach((fieldset, number) => {
    for (const input of fieldset.querySelectorAll("input[name]")) input.name = input.name.replace(/^zone\w+\./, `zone${number}.`);
  });
}

function remember() {
  past = [...past, JSON.stringify(state())].slice(-50);
  at("undo").disabled = false;
}

function keep() {
  sessionStorage.setItem(DRAFT, JSON.stringify(state()));
  draw();
}

function newZone(points) {
  const taken = new Set(fieldsets().map((fieldset) => part(fieldset, "name").value));
  let number = 1;
  while (taken.has(`zone ${number}`)) number += 1;
  const fieldset = at("zone").content.firstElementChild.cloneNode(true);
  list.append(fieldset);
  renumber();
  part(fieldset, "name").value = `zone ${number}`;
  setOutline(fieldset, points);
  choose(fieldsets().length - 1, 0);
  keep();
}

function choose(number, which = 0) {
  chosen = number;
  corner = which;
  draw();
}

// ---- the picture -----------------------------------------------------------------------------------------------

function shape(kind, name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  made.setAttribute("class", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function draw() {
  const shapes = [];
  fieldsets().forEach((fieldset, number) => {
    const points = outline(fieldset);
    const wrong = points.length > 3 && crosses(points);
    fieldset.querySelector(".wrong-outline").hidden = !wrong;
    fieldset.classList.toggle("chosen", number === chosen);
    fieldset.querySelector(".choose").setAttribute("aria-pressed", String(number === chosen));
    const text = points.map((point) => point.join(",")).join(" ");
    const names = ["outline", part(fieldset, "ignore").checked ? "ignored" : "", number === chosen ? "chosen" : "", wrong ? "wrong" : ""].join(" ");
    shapes.push(shape("polygon", "casing", { points: text }), shape("polygon", names, { points: text, "data-zone": number }));
  });
  if (begun.length) shapes.push(shape("polyline", "outline chosen", { points: begun.map((point) => point.join(",")).join(" ") }));
  const fieldset = fieldsets()[chosen];
  const points = begun.length ? begun : fieldset && mayDraw ? outline(fieldset) : [];
  points.forEach(([x, y], number) => {
    const place = `M${x} ${y}l0 0`;
    if (!begun.length) shapes.push(shape("path", "grip", { d: place, "data-corner": number }));
    shapes.push(shape("path", `dot${number === corner && !begun.length ? " now" : ""}`, { d: place }));
  });
  svg.replaceChildren(...shapes);
  for (const id of ["add", "remove", "delete"]) if (at(id)) at(id).disabled = !fieldset;
  if (at("hint")) at("hint").textContent = at("hint").dataset[mode || "idle"];
  for (const id of ["rectangle", "polygon"]) at(id)?.setAttribute("aria-pressed", String(mode === id));
}

function place(event) {
  const box = svg.getBoundingClientRect();
  return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
}

function near(first, second) {
  const box = svg.getBoundingClientRect();
  return Math.hypot((first[0] - second[0]) * box.width, (first[1] - second[1]) * box.height) < NEAR_PX;
}

const rectangle = (a, b) => [[a[0], a[1]], [b[0], a[1]], [b[0], b[1]], [a[0], b[1]]];

function end(points) {
  begun = [];
  mode = "";
  remember();
  newZone(points);
  svg.focus({ preventScroll: true });
}

function down(event) {
  if (!mayDraw || event.button > 0) return;
  const here = place(event);
  if (mode) {
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    if (mode === "rectangle") {
      if (begun.length && !near(begun[0], here)) end(rectangle(begun[0], here));
      else { begun = [here]; drag = { kind: "rectangle" }; draw(); }
    } else if (begun.length >= 3 && near(begun[0], here)) end(begun);
    else if (begun.length < MOST) { begun = [...begun, here]; draw(); }
    return;
  }
  const grip = event.target.dataset.corner;
  const zone = event.target.dataset.zone;
  if (grip === undefined && zone === undefined) return;
  event.preventDefault();
  svg.setPointerCapture(event.pointerId);
  if (grip !== undefined) choose(chosen, Number(grip));
  else if (Number(zone) !== chosen) { choose(Number(zone)); return; }
  drag = { kind: grip === undefined ? "zone" : "corner", from: here, points: outline(fieldsets()[chosen]), moved: false };
}

function move(event) {
  if (!drag) return;
  const here = place(event);
  if (drag.kind === "rectangle") {
    if (begun.length && !near(begun[0], here)) { begun = [begun[0], ...rectangle(begun[0], here).slice(1), begun[0]]; drag.moved = true; draw(); }
    return;
  }
  if (!drag.moved && near(drag.from, here)) return;
  if (!drag.moved) remember();
  drag.moved = true;
  shift(drag.points, here[0] - drag.from[0], here[1] - drag.from[1], drag.kind === "corner");
}

function up(event) {
  if (drag?.kind === "rectangle" && drag.moved) end(rectangle(begun[0], place(event)));
  drag = null;
}

function shift(points, x, y, alone) {
  const moved = alone ? [points[corner]] : points;
  const dx = Math.max(-Math.min(...moved.map((each) => each[0])), Math.min(x, 1 - Math.max(...moved.map((each) => each[0]))));
  const dy = Math.max(-Math.min(...moved.map((each) => each[1])), Math.min(y, 1 - Math.max(...moved.map((each) => each[1]))));
  setOutline(fieldsets()[chosen], points.map((each, number) => alone && number !== corner ? each : [clamp(each[0] + dx), clamp(each[1] + dy)]));
  keep();
}

// ---- what a person does ----------------------------------------------------------------------------------------

const ACTS = {
  rectangle: () => { mode = mode === "rectangle" ? "" : "rectangle"; begun = []; draw(); svg.focus({ preventScroll: true }); },
  polygon: () => { mode = mode === "polygon" ? "" : "polygon"; begun = []; draw(); svg.focus({ preventScroll: true }); },
  add: () => {
    const points = outline(fieldsets()[chosen]);
    if (points.length >= MOST) return;
    remember();
    const next = points[(corner + 1) % points.length];
    points.splice(corner + 1, 0, [clamp((points[corner][0] + next[0]) / 2), clamp((points[corner][1] + next[1]) / 2)]);
    setOutline(fieldsets()[chosen], points);
    corner += 1;
    keep();
  },
  remove: () => {
    const points = outline(fieldsets()[chosen]);
    if (points.length <= 3) return;
    remember();
    points.splice(corner, 1);
    setOutline(fieldsets()[chosen], points);
    corner = Math.min(corner, points.length - 1);
    keep();
  },
  delete: () => {
    remember();
    fieldsets()[chosen].remove();
    renumber();
    choose(-1);
    keep();
  },
  undo: () => {
    const before = past.pop();
    if (before) load(JSON.parse(before));
    at("undo").disabled = !past.length;
    choose(Math.min(chosen, fieldsets().length - 1));
    keep();
  },
};

function key(event) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const count = fieldsets().length;
  const points = chosen >= 0 ? outline(fieldsets()[chosen]) : [];
  if (event.key === "Escape") { mode = ""; begun = []; draw(); }
  else if (event.key === "n" && count) choose((chosen + 1) % count);
  else if (!points.length) return;
  else if (arrows[event.key]) {
    const [x, y] = arrows[event.key];
    const step = event.shiftKey ? FINE : STEP;
    if (!event.repeat) remember();
    shift(points, x * step, y * step, true);
  } else if (event.key === "." || event.key === ",") choose(chosen, (corner + (event.key === "." ? 1 : points.length - 1)) % points.length);
  else if (event.key === "+") ACTS.add();
  else if (event.key === "Delete") ACTS.remove();
  else if (event.key === "z" && (event.ctrlKey || event.metaKey)) ACTS.undo();
  else return;
  event.preventDefault();
}

svg.addEventListener("pointerdown", down);
svg.addEventListener("pointermove", move);
svg.addEventListener("pointerup", up);
svg.addEventListener("pointercancel", () => { drag = null; });
if (mayDraw) {
  svg.addEventListener("keydown", key);
  for (const [id, act] of Object.entries(ACTS)) at(id).addEventListener("click", act);
}
list.addEventListener("click", (event) => {
  if (!event.target.closest(".choose")) return;
  choose(fieldsets().indexOf(event.target.closest("[data-zone]")));
  svg.focus({ preventScroll: true });
});
list.addEventListener("input", keep);
at("discard").addEventListener("click", () => { sessionStorage.removeItem(DRAFT); location.assign(`${location.pathname}?camera=${encodeURIComponent(form.elements.camera.value)}`); });
const draft = sessionStorage.getItem(DRAFT);
if (draft && mayDraw && draft !== JSON.stringify(state())) {
  load(JSON.parse(draft));
  at("restored").hidden = false;
}
draw();
form.dataset.ready = "";
