// Live: what the station decides now. One message is one part, verdict and pictures together; the page asks for the next.
//
// What is old looks old: this page ages by its own clock since the last message. Over 1 s: OLD. Over 3 s: no verdict at
// all. After load, sleep, or a tab that is seen again: empty until a message comes.
const OLD_MS = 1000;
const GONE_MS = 3000;
const AIM_MS = 5000;
const WAITING_MS = 10000;
const HELD_MS = 15000;
const TICK_MS = 100;
const ASLEEP_MS = 2000; // between two ticks: the page was not running
const RETRY_MS = 500;

const root = document.getElementById("live");
const words = JSON.parse(root.dataset.words);
const icons = root.dataset.icons;
const at = (id) => document.getElementById(id);

let generation = 0; // what was decoded for an earlier connection is dropped
let socket = null;
let heard = null; // when the last message came, on both clocks; null: none since the page is seen
let beatAge = 0;
let partAge = null;
let problem = "";
let state = null;
let stateKey = "";
let part = null; // with its pictures, decoded
let held = null;
let lastTick = mark();
let told = "";
let aimed = null; // since when a mouse is over the strip
let meant = null; // the part under the pointer when it came down
let began = mark(); // to ask for messages of which none has come yet

// ---- time ------------------------------------------------------------------------------------------------------

function mark() {
  return { steady: performance.now(), wall: Date.now() };
}

// The steady clock may stand while the computer sleeps, the wall clock may be set: whichever says that it was longer.
function since(when) {
  return Math.max(performance.now() - when.steady, Date.now() - when.wall);
}

// ---- the socket ------------------------------------------------------------------------------------------------

function connect() {
  if (socket || document.hidden) return;
  const mine = generation;
  const opened = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live/socket`);
  opened.binaryType = "arraybuffer";
  socket = opened;
  const ask = () => {
    if (mine === generation && opened.readyState === WebSocket.OPEN) {
      opened.send(JSON.stringify({ state: stateKey, part: part ? part.key : "" }));
    }
  };
  opened.onopen = ask;
  opened.onmessage = async (event) => {
    const came = mark();
    const message = read(event.data);
    const fresh = message.part && (await decoded(message));
    if (mine !== generation) return;
    take(message, fresh, came);
    ask();
  };
  opened.onclose = (event) => {
    if (mine !== generation) return;
    socket = null;
    if (event.code === 1008 || event.code === 1013) problem = event.reason || words.refused;
    setTimeout(connect, event.code === 1000 ? 0 : RETRY_MS);
  };
}

// Nothing is known any more; whatever is shown afterwards came afterwards.
function reset() {
  generation += 1;
  if (socket) socket.close();
  socket = heard = state = part = held = null;
  began = mark();
  stateKey = problem = "";
  show();
  connect();
}

function read(data) {
  const view = new DataView(data);
  const length = view.getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  let place = 4 + length;
  if (place === data.byteLength) return head;
  const size = view.getUint32(place, true);
  const found = JSON.parse(new TextDecoder().decode(new Uint8Array(data, place + 4, size)));
  place += 4 + size;
  for (const each of found.views) {
    for (const kind of ["picture", "heat"]) {
      const bytes = each[kind];
      each[kind] = bytes ? new Blob([new Uint8Array(data, place, bytes)]) : null;
      place += bytes;
    }
  }
  return { ...head, part: { ...found, reasons: head.reasons, key: head.part_key } };
}

// The pictures of a part, ready to be drawn, so that verdict and pictures change in one moment.
async function decoded(message) {
  const bitmap = async (blob) => {
    if (!blob) return null;
    try {
      return await createImageBitmap(blob);
    } catch {
      return null;
    }
  };
  const views = await Promise.all(
    message.part.views.map(async (view) => ({
      ...view,
      picture: await bitmap(view.picture),
      heat: await bitmap(view.heat),
    })),
  );
  return { ...message.part, views };
}

function take(message, fresh, came) {
  heard = came;
  problem = message.problem;
  beatAge = message.beat_age_ms;
  partAge = message.part_age_ms;
  if (message.state) {
    state = message.state;
    stateKey = message.state_key;
    showState();
  }
  if (fresh) part = fresh;
  else if (part && message.part_key !== part.key) part = null; // of a station that has ended
  at("beat").classList.toggle("odd"); // moves when a message came, and only then
  if (!held) showPart(part);
  show();
}

// ---- what leads ------------------------------------------------------------------------------------------------

function seconds(ms) {
  return (ms / 1000).toFixed(ms < 10000 ? 1 : 0);
}

function leads() {
  const silent = heard === null ? 0 : since(heard);
  if (problem) return { kind: "NODATA", word: words.nodata, text: problem, action: "" };
  if (heard === null || !state) {
    if (since(began) < GONE_MS) return { kind: "EMPTY", word: "–", text: words.connecting, action: "" };
    return { kind: "NODATA", word: words.nodata, text: words.noserver, action: words.noserver_action };
  }
  const age = silent + beatAge;
  if (age > GONE_MS) {
    const server = silent > GONE_MS;
    return {
      kind: "NODATA",
      word: words.nodata,
      text: `${server ? words.noserver : words.nostation} (${seconds(age)} s)`,
      action: server ? words.noserver_action : words.nostation_action,
    };
  }
  if (age > OLD_MS) return { kind: "OLD", word: words.old, text: `${words.old} · ${seconds(age)} s`, action: "" };
  if (state.leads) return state.leads;
  if (held) return { kind: "HELD", word: words.held, text: words.held_text, action: "" };
  if (!part) return { kind: "WAITING", word: words.waiting, text: words.nopart, action: "" };
  const passed = partAge + silent;
  if (passed > WAITING_MS) {
    return { kind: "WAITING", word: words.waiting, text: `${words.nopart_for} ${seconds(passed)} s`, action: "" };
  }
  const reason = part.reasons[0];
  return {
    kind: part.verdict,
    word: words[part.verdict],
    text: reason ? reason.text : "",
    action: reason && part.verdict !== "PASS" ? reason.action : "",
  };
}

const VERDICTS = ["PASS", "FAIL", "REVIEW", "ERROR"];
const STOPS = ["FAULT", "CAMERA", "OFFLINE", "PLC"];

function show() {
  const lead = leads();
  const isVerdict = VERDICTS.includes(lead.kind);
  root.dataset.lead = lead.kind;
  root.dataset.part = isVerdict ? String(part.acquisition_id) : "";
  text("word", lead.word);
  root.style.setProperty("--letters", String(lead.word.length));
  text("why", lead.text);
  text("action", lead.action);
  icon(at("shape"), isVerdict ? lead.kind : STOPS.includes(lead.kind) ? "ACT" : "OLD");
  const known = lead.kind !== "NODATA" && lead.kind !== "EMPTY";
  const shown = held || part;
  const nameless = known && shown;
  text("part", nameless ? partName(shown) : "");
  text("last", nameless && !isVerdict ? `${held ? words.held : words.last} · ${words[shown.verdict]}` : "");
  text("score", nameless && shown.score !== null ? compared(shown) : "");
  text("age", isVerdict ? `${seconds(partAge + since(heard))} ${words.ago} · ${Math.round(part.latency_ms)} ms` : "");
  speak(lead);
}

function partName(shown) {
  const name = shown.part_id ? `${words.part} ${shown.part_id}` : `${words.acquisition} ${shown.acquisition_id}`;
  return shown.challenge ? `${name} · ${words.challenge}` : name;
}

function compared(shown) {
  if (shown.limit === null) return shown.score.toFixed(2);
  return `${shown.score.toFixed(2)} ${shown.score > shown.limit ? ">" : "≤"} ${shown.limit.toFixed(2)}`;
}

// For those who listen: rejects and faults, not every PASS.
function speak(lead) {
  const quiet = ["PASS", "EMPTY", "HELD"].includes(lead.kind);
  const said = quiet ? "" : `${lead.word} ${lead.kind === "OLD" || lead.kind === "WAITING" ? "" : lead.text}`;
  if (said === told) return;
  told = said;
  text("spoken", said);
}

function text(id, value) {
  const element = at(id);
  if (element.textContent !== value) element.textContent = value;
}

function icon(svg, name) {
  const wanted = `${icons}#${name}`;
  const use = svg.firstElementChild;
  if (use.getAttribute("href") !== wanted) use.setAttribute("href", wanted);
}

// ---- the pictures ----------------------------------------------------------------------------------------------

let drawn = null;

function showPart(shown) {
  if (shown === drawn) return;
  drawn = shown;
  const place = at("views");
  const views = shown ? shown.views : [];
  while (place.children.length > views.length) place.lastElementChild.remove();
  while (place.children.length < views.length) place.append(at("view").content.cloneNode(true));
  views.forEach((view, index) => draw(place.children[index], view));
  at("nopicture").hidden = !shown || views.length > 0;
}

function draw(figure, view) {
  const canvas = figure.querySelector("canvas");
  const picture = view.picture;
  figure.querySelector(".camera").textContent = view.camera;
  icon(figure.querySelector("svg"), view.verdict);
  figure.querySelector(".verdict").className = `verdict ${view.verdict}`;
  figure.querySelector(".of").textContent = words[view.verdict];
  figure.querySelector(".missing").textContent = picture ? "" : view.why_no_picture || words.nopicture;
  canvas.setAttribute("aria-label", `${view.camera}: ${words[view.verdict]}`);
  canvas.width = picture ? picture.width : 1;
  canvas.height = picture ? picture.height : 1;
  if (!picture) return;
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  if (!at("heat").checked) return;
  if (view.heat) context.drawImage(view.heat, 0, 0, canvas.width, canvas.height);
  for (const [width, colour] of [[5, "rgb(20 20 20)"], [2, "rgb(255 255 255)"]]) {
    context.lineWidth = (width * canvas.width) / 960;
    context.strokeStyle = colour;
    for (const outline of view.outlines) {
      context.beginPath();
      for (const [x, y] of outline) context.lineTo(x * canvas.width, y * canvas.height);
      context.closePath();
      context.stroke();
    }
  }
}

// ---- the state: strip, counters, what needs a person -------------------------------------------------------------

function showState() {
  document.body.classList.toggle("simulated", state.simulated);
  at("simulation").hidden = !state.simulated;
  text("challenge", state.challenge);
  showStrip();
  showCounters();
  showNeeds();
  for (const [id, allowed] of [["online", !state.online], ["offline", state.online], ["clear", state.has_fault]]) {
    if (at(id)) at(id).hidden = !allowed;
  }
}

function showStrip() {
  const strip = at("strip");
  if (aimed && strip.children.length) return; // it does not move under a mouse that aims
  const parts = state.parts;
  while (strip.children.length > parts.length) strip.lastElementChild.remove();
  while (strip.children.length < parts.length) strip.append(at("line-of-strip").content.cloneNode(true));
  parts.forEach((line, index) => {
    const button = strip.children[index].firstElementChild;
    button.dataset.key = `${state.start}:${line.acquisition_id}`;
    button.className = `tile ${line.verdict}`;
    icon(button.querySelector("svg"), line.verdict);
    button.querySelector(".id").textContent = line.part_id || line.acquisition_id;
    button.setAttribute("aria-label", `${partName(line)}: ${words[line.verdict]}. ${line.reason}`);
  });
}

function showCounters() {
  for (const row of at("counters").querySelectorAll("[data-of]")) {
    const counts = row.dataset.of === "shift" ? state.shift : state.counters;
    for (const cell of row.querySelectorAll("[data-count]")) {
      const count = counts[cell.dataset.count];
      cell.textContent = count === undefined ? "–" : count.toLocaleString(document.documentElement.lang);
    }
    const name = row.querySelector(".shift");
    if (name) name.textContent = counts.name || "";
    const batch = row.querySelector(".batch");
    if (batch) batch.textContent = counts.batch ? `${words.batch} ${counts.batch}` : words.batch;
  }
}

function showNeeds() {
  const list = at("needs");
  const needs = state.needs;
  const fresh = needs.filter((need) => !need.seen);
  list.replaceChildren(
    ...needs.map((need) => {
      const line = at("need").content.cloneNode(true).firstElementChild;
      line.classList.toggle("seen", need.seen);
      line.classList.toggle("gone", !need.stands);
      line.querySelector(".what").textContent = need.stands ? need.text : `${words.was} ${need.text}`;
      line.querySelector(".todo").textContent = need.stands ? need.action : "";
      line.querySelector(".times").textContent = need.times > 1 ? `${need.times} ×` : "";
      return line;
    }),
  );
  text("count", String(fresh.length));
  at("nothing").hidden = needs.length > 0;
  root.dataset.unseen = String(fresh.length > 0);
  root.dataset.stopped = String(state.stopped && fresh.length > 0);
  if (at("seen")) {
    at("seen").hidden = fresh.length === 0;
    at("seen-keys").value = JSON.stringify(fresh.map((need) => need.key));
  }
}

// ---- what a person does ------------------------------------------------------------------------------------------

async function hold(key) {
  const mine = generation;
  const line = state.parts.find((one) => `${state.start}:${one.acquisition_id}` === key) ?? {};
  if (held && held.key === key) return release();
  try {
    const reply = await fetch(`/live/part/${encodeURIComponent(key)}`, { cache: "no-store" });
    if (!reply.ok) throw new Error(words.notkept);
    const message = read(await reply.arrayBuffer());
    const shown = await decoded({ part: { ...message.part, key } });
    if (mine !== generation) return;
    held = shown;
    setTimeout(() => held === shown && release(), HELD_MS);
    text("asked", "");
    showPart(held);
    show();
  } catch (failure) {
    const link = document.createElement("a");
    link.href = `/parts?part=${line.part_id}`;
    link.textContent = partName(line);
    at("asked").replaceChildren(`${failure.message}: `, link);
  }
}

function release() {
  held = null;
  showPart(part);
  show();
}

// The strip moves on while a finger comes down: what counts is the part that lay under it then.
for (const [kind, now] of [["pointerenter", mark], ["pointerleave", () => null]]) {
  at("strip").addEventListener(kind, (event) => {
    aimed = event.pointerType === "mouse" ? now() : null;
    if (state) showStrip();
  });
}
at("strip").addEventListener("pointerdown", (event) => { meant = event.target.closest("button")?.dataset.key; });
at("strip").addEventListener("click", (event) => {
  const key = (event.detail && meant) || event.target.closest("button")?.dataset.key; // by key there is no pointer
  if (key) hold(key);
});

at("heat").addEventListener("change", () => {
  const shown = drawn;
  drawn = null;
  showPart(shown);
});

for (const form of root.querySelectorAll("form[data-asks]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    text("asked", words.asking);
    try {
      const reply = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout(8000),
      });
      const answer = await reply.json();
      text("asked", answer.said);
    } catch {
      text("asked", words.notknown);
    }
  });
}

// ---- a page that sleeps ------------------------------------------------------------------------------------------

setInterval(() => {
  const slept = since(lastTick) > ASLEEP_MS;
  lastTick = mark();
  if (aimed && since(aimed) > AIM_MS) {
    aimed = null;
    if (state) showStrip();
  }
  if (slept && !document.hidden) reset();
  else show();
}, TICK_MS);

document.addEventListener("visibilitychange", reset);
addEventListener("pageshow", (event) => event.persisted && reset());
addEventListener("pagehide", () => socket && socket.close());
connect();
