"use strict";
// Tiles, keys and saving. A label is shown as kept only after the server has it on disk; until then
// it waits here, also over a reload, and is sent again.

const page = document.getElementById("page");
const { csrf, pool, annotator, store } = page.dataset;
const scales = page.dataset.scales.split(",").map(Number);
const QUEUE = `galaxy_lvm|${store}|${annotator}`;
const VALUES = ["positive", "negative", "unsure"];
const SIGNS = { positive: "+ positive", negative: "− negative", unsure: "? unsure" };
const at = (id) => document.getElementById(id);
const GLANCE_MS = 500, GAP_PX = 8;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const grids = { round: [], gallery: [], like: [] };
let state = {}, part = "round", viewed = null, galleryPage = 0, busy = false, likeOf = null;

// Talking to the server

class Refused extends Error {}

async function ask(address, body) {
  const options = { headers: { "X-CSRF-Token": csrf } };
  if (body instanceof FormData) Object.assign(options, { method: "POST", body });
  else if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(address, options);
  const content = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (answer.ok) return content;
  if (answer.status === 401) throw new Error(`${content.error} (open the printed link again; what is not saved waits here)`);
  if (answer.status >= 500) throw new Error(content.error);
  throw new Refused(content.error);
}

function alarm(sentence) {
  at("alarm").textContent = sentence || "";
  at("alarm").hidden = !sentence;
}

async function attempt(work) {
  try {
    alarm("");
    return await work();
  } catch (error) {
    // What fetch throws is a TypeError; all else is what the server said.
    alarm(error instanceof TypeError ? `The server does not answer: ${error.message}` : error.message);
    return undefined;
  }
}

const numbers = {};

// An answer that came late is older than what the page shows: only the latest question counts, and
// it is asked again where something was labelled meanwhile.
async function latest(what, path) {
  numbers[what] = (numbers[what] || 0) + 1;
  for (const mine = numbers[what]; ;) {
    const before = edits;
    const answer = await attempt(() => ask(path));
    if (mine !== numbers[what]) return undefined;
    if (!answer || before === edits) return answer;
    await saved();
  }
}

// Saving

let queue = JSON.parse(localStorage.getItem(QUEUE) || "[]");
// What the server said before the latest edit is older than what the page shows.
let saving = false, trouble = "", edits = 0;

function keepQueue() {
  localStorage.setItem(QUEUE, JSON.stringify(queue));
  at("saved").textContent = queue.length
    ? `${queue.length} not saved yet${trouble ? `; trying again: ${trouble}` : ""}`
    : "all labels are on disk";
  at("saved").dataset.waiting = queue.length;
}

function save(id, value) {
  if (busy) return;
  edits += 1;
  queue.push({ id, value });
  keepQueue();
  mark(id, value, "no");
  pump();
}

async function pump() {
  if (saving) return;
  saving = true;
  for (let delay = 300; queue.length;) {
    const { id, value } = queue[0];
    try {
      const answer = await ask("/api/label", { id, value });
      state.last = answer.last;
      // A first positive ends "at random"; a rule that is being chosen right now is left alone.
      if (answer.choice.rule !== state.choice.rule) showChoice(answer.choice);
      if (answer.seen) state.seen = answer.seen;
      at("sentence").textContent = answer.sentence;
      trouble = "";
      delay = 300;
      queue.shift();
      if (!queue.some((one) => one.id === id)) mark(id, value, "yes");
      keepQueue();
    } catch (error) {
      if (error instanceof Refused) {
        queue.shift();
        keepQueue();
        mark(id, "", "");
        alarm(`${id}: not labelled. ${error.message}`);
        continue;
      }
      trouble = error.message;
      alarm(`Labels are not saved: ${error.message}. They are kept here and sent again.`);
      keepQueue();
      await wait(delay);
      delay = Math.min(2 * delay, 4000);
      continue;
    }
    if (!queue.length) alarm("");
  }
  saving = false;
  lookAhead();
}

async function saved() {
  while (queue.length || saving) await wait(30);
}

window.addEventListener("beforeunload", (event) => {
  if (queue.length) event.preventDefault();
});

// Tiles

function mark(id, value, kept) {
  for (const name of Object.keys(grids)) for (const tile of grids[name]) {
    if (tile.galaxy.id !== id) continue;
    tile.galaxy.value = value;
    tile.box.dataset.value = value;
    tile.box.dataset.kept = value ? kept : "";
    tile.sign.textContent = SIGNS[value] || "";
    tile.face.setAttribute("aria-label", spoken(tile));
  }
}

function spoken(tile) {
  const saying = tile.galaxy.value || "no label";
  return `${tile.number}, galaxy ${tile.galaxy.id}: ${saying}`;
}

function element(kind, properties, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function address(galaxy) {
  return `/crop/${pool}/${galaxy.row}.png`;
}

// Characters of an id that are always seen: files of one folder differ in their last ones.
const END = 8;

function makeTile(galaxy, number, grid) {
  const image = element("img", { src: address(galaxy), alt: "", draggable: false });
  const sign = element("span", { className: "mark" });
  const score = galaxy.score === null ? "" : ` ${galaxy.score.toFixed(2)}`;
  const caption = element("span", { className: "caption" },
    element("span", { className: "name", title: galaxy.id },
      element("span", { className: "start", textContent: galaxy.id.slice(0, -END) }),
      element("span", { className: "end", textContent: galaxy.id.slice(-END) + score })), sign);
  const face = element("button", { type: "button", className: "face", tabIndex: number === 1 ? 0 : -1 },
    image, caption);
  const look = element("button", { type: "button", className: "look", textContent: "⤢", tabIndex: -1 });
  look.setAttribute("aria-label", `Big view of galaxy ${galaxy.id}`);
  const box = element("div", { className: "tile" }, face, look);
  box.dataset.id = galaxy.id;
  if (number <= 9) box.append(element("span", { className: "number", textContent: number, ariaHidden: "true" }));
  const tile = { galaxy, number, grid, box, face, sign };
  image.addEventListener("error", () => image.replaceWith(
    element("span", { className: "broken", textContent: "this image cannot be read" })), { once: true });
  face.addEventListener("click", () => cycle(tile));
  face.addEventListener("focus", () => grids[grid].forEach((one) => { one.face.tabIndex = one === tile ? 0 : -1; }));
  look.addEventListener("click", () => openView(tile));
  box.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") glanceSoon(tile); });
  box.addEventListener("pointerleave", endGlance);
  if (galaxy.labels) addOthers(tile);
  return tile;
}

function addOthers(tile) {
  const said = tile.galaxy.labels.map((one) => `${one.annotator}: ${one.value}`).join(", ");
  tile.box.append(element("p", { className: "others", textContent: said }));
  if (!tile.galaxy.disputed) return;
  const row = element("div", { className: "settle" }, "Settle:");
  for (const value of VALUES) {
    const button = element("button", { type: "button", textContent: value });
    button.dataset.value = value;
    button.addEventListener("click", () => attempt(async () => {
      await ask("/api/settle", { id: tile.galaxy.id, value });
      await showGallery();
    }));
    row.append(button);
  }
  tile.box.append(row);
}

function fill(grid, galaxies) {
  endGlance();
  const focused = grids[grid].find((tile) => tile.face === document.activeElement);
  grids[grid] = galaxies.map((galaxy, i) => makeTile(galaxy, i + 1, grid));
  at(`grid-${grid}`).replaceChildren(...grids[grid].map((tile) => tile.box));
  for (const tile of grids[grid]) {
    const waiting = queue.findLast((one) => one.id === tile.galaxy.id);
    mark(tile.galaxy.id, waiting ? waiting.value : tile.galaxy.value, waiting ? "no" : "yes");
  }
  const again = focused && grids[grid].find((tile) => tile.galaxy.id === focused.galaxy.id);
  if (again) again.face.focus();
}

function cycle(tile) {
  save(tile.galaxy.id, VALUES[(VALUES.indexOf(tile.galaxy.value) + 1) % VALUES.length]);
}

// The round

function show(fresh) {
  const changed = JSON.stringify([fresh.round, fresh.galaxies.map((g) => [g.id, g.value])])
    !== JSON.stringify([state.round, grids.round.map((t) => [t.galaxy.id, t.galaxy.value])]);
  const another = fresh.round !== state.round;
  state = fresh;
  if (changed && !queue.length) fill("round", fresh.galaxies);
  if (another && part === "round" && grids.round.length) firstOpen().face.focus();
  at("round-title").textContent = fresh.round ? `Round ${fresh.round}` : "No round yet";
  at("counts").textContent = `${fresh.n_positive} positive, ${fresh.n_negative} negative, ${fresh.n_unsure} unsure of ${fresh.n_pool}; ${fresh.n_mine} labels are yours`;
  at("disputed").hidden = !fresh.n_disputed;
  at("disputed").textContent = `${fresh.n_disputed} disputed`;
  at("sentence").textContent = fresh.sentence;
  if (fresh.round) besideExamples(true);
  showChoice(fresh.choice);
  showModel(fresh);
  keepQueue();
}

function showChoice(choice) {
  state.choice = choice;
  at("rule").value = choice.rule;
  at("alpha").value = choice.alpha;
  at("alpha-value").textContent = choice.alpha;
  at("alpha").disabled = choice.rule !== "alpha";
  at("n").value = choice.n;
}

function showModel(about) {
  const ready = about.model
    ? `model of ${about.model.n_labels} labels, made in ${about.model.seconds} s`
    : "no model yet";
  at("model").textContent = about.problem ? `The model could not be made: ${about.problem}`
    : ready + (about.fitting ? "; a newer one is being made" : "");
  if (about.read_only) alarm("The label store can only be read: look and export, but nothing can be labelled.");
}

function firstOpen() {
  return grids.round.find((tile) => !tile.galaxy.value) || grids.round[0];
}

async function refresh() {
  const before = edits;
  const fresh = await attempt(() => ask("/api/state"));
  if (fresh && before === edits && !busy) show(fresh);
}

function nothing(...content) {
  at("nothing").replaceChildren(...content);
  at("nothing").hidden = !content.length;
  besideExamples(true);
}

// What says nothing, and does nothing, before there is an example.
function besideExamples(shown) {
  for (const name of ["sentence", "model", "next", "rest", "skip"]) at(name).hidden = !shown;
}

async function nextRound(rest) {
  if (busy) return;
  busy = true;
  await saved();
  await attempt(async () => {
    let fresh = await ask("/api/next", { rest });
    for (; fresh.waiting === "fitting"; fresh = await ask("/api/next", { rest: "" })) {
      nothing("The first model is being made …");
      await wait(200);
    }
    nothing();
    if (fresh.waiting === "done") nothing("Every galaxy of the pool has a label, or is with another annotator.");
    if (fresh.waiting === "prompts") needsExamples();
    show(fresh);
    lookAhead();
  });
  busy = false;
}

function needsExamples() {
  const random = element("button", { type: "button", textContent: "Be asked at random until one is" });
  random.addEventListener("click", async () => {
    at("rule").value = "random";
    await choose();
  });
  const begin = element("button", { type: "button", textContent: "Give examples" });
  begin.addEventListener("click", () => go("begin"));
  nothing("No galaxy is labelled positive yet, so there is nothing to look for. ", begin, " ", random);
  besideExamples(false);
  if (part === "round") begin.focus();
}

async function undo() {
  await saved();
  if (!state.last) return;
  edits += 1;
  await attempt(async () => {
    const fresh = await ask("/api/undo", { number: state.last });
    state.round = -1;
    show(fresh);
    if (fresh.id !== null) {
      mark(fresh.id, "", "");
      const tile = grids[part] && grids[part].find((one) => one.galaxy.id === fresh.id);
      if (tile) tile.face.focus();
      at("saved").textContent = `the label of ${fresh.id} was taken back`;
    }
  });
}

async function choose() {
  const chosen = { rule: at("rule").value, alpha: Number(at("alpha").value), n: Number(at("n").value) };
  const answer = await attempt(() => ask("/api/choice", chosen));
  if (!answer) return;
  showChoice(answer.choice);
  at("sentence").textContent = answer.sentence;
  if (!state.round) await nextRound("");
}

const seenImages = new Set();

// What the next round would show by the newest model is loaded while this one is looked at.
async function lookAhead() {
  try {
    const { rows } = await ask("/api/ahead");
    for (const row of rows.filter((one) => !seenImages.has(one))) {
      seenImages.add(row);
      new Image().src = address({ row });
    }
  } catch (error) {
    console.info(`nothing is loaded ahead: ${error.message}`);
  }
}

// Other parts

async function go(name) {
  part = name;
  for (const section of document.querySelectorAll("main > section"))
    section.hidden = section.id !== `part-${name}`;
  for (const button of document.querySelectorAll("nav button"))
    button.toggleAttribute("aria-current", false);
  const button = document.querySelector(`nav button[data-part="${name}"]`);
  if (button) button.setAttribute("aria-current", "page");
  await saved();
  if (name === "gallery") await showGallery();
  if (name === "progress") await showProgress();
  if (name === "round") {
    await refresh();
    if (!state.round) await nextRound("");
    if (grids.round.length) firstOpen().face.focus();
  }
}

async function showGallery() {
  const query = new URLSearchParams({
    value: at("filter-value").value, annotator: at("filter-annotator").value,
    text: at("filter-text").value, page: galleryPage,
  });
  const answer = await latest("gallery", `/api/gallery?${query}`);
  if (!answer) return;
  fill("gallery", answer.galaxies);
  at("gallery-title").textContent = `${answer.total} galaxies`;
  at("earlier").disabled = galleryPage === 0;
  at("later").disabled = galleryPage + 1 >= answer.n_pages;
  const chosen = at("filter-annotator").value;
  at("filter-annotator").replaceChildren(
    element("option", { value: "", textContent: "everybody" }),
    ...answer.annotators.map((name) => element("option", { value: name, textContent: name })));
  at("filter-annotator").value = chosen;
}

async function showProgress() {
  await attempt(async () => {
    const answer = await fetch("/progress");
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    at("part-progress").innerHTML = await answer.text();
  });
}

async function moreLike(galaxy) {
  if (View.dialog.open) View.dialog.close();
  likeOf = galaxy;
  const answer = await latest("like", `/api/like?row=${galaxy.row}`);
  if (!answer) return;
  await go("like");
  at("like-title").textContent = `More like ${galaxy.id}`;
  fill("like", answer.galaxies);
  if (grids.like.length) grids.like[0].face.focus();
}

function openView(tile) {
  viewed = tile;
  const { id, ra, dec, score, row } = tile.galaxy;
  at("view-title").textContent = id;
  const about = [score === null ? "" : `score ${score.toFixed(3)}`, tile.galaxy.value || "no label"];
  at("view-about").replaceChildren(about.filter(Boolean).join(", "));
  if (ra !== undefined) {
    const viewer = `https://www.legacysurvey.org/viewer?ra=${ra}&dec=${dec}&layer=ls-dr9&zoom=15&mark=${ra},${dec}`;
    at("view-about").append(` · ra ${ra}, dec ${dec} · `, element("a", {
      href: viewer, target: "_blank", rel: "noopener noreferrer", textContent: "Legacy Survey viewer" }));
  }
  View.show(`/api/cutout/${pool}/${row}`, scales);
}

// A mouse that rests on a galaxy sees it large beside its tile, drawn as in the big view; Space does
// the same for those without a mouse.
let glanced = null, glanceTimer = 0;

function glanceSoon(tile) {
  endGlance();
  glanced = tile;
  glanceTimer = setTimeout(() => glance(tile), GLANCE_MS);
}

function endGlance() {
  clearTimeout(glanceTimer);
  glanced = null;
  at("glance").hidden = true;
}

async function glance(tile) {
  const wanted = () => glanced === tile && tile.box.isConnected && !document.querySelector("dialog[open]");
  try {
    await View.glance(at("glance-canvas"), `/api/cutout/${pool}/${tile.galaxy.row}`, scales, wanted);
  } catch (error) {
    console.info(`no large picture of ${tile.galaxy.id}: ${error.message}`); // Space says why
    return;
  }
  if (!wanted()) return;
  const place = tile.box.getBoundingClientRect(), figure = at("glance");
  figure.hidden = false;
  figure.dataset.id = tile.galaxy.id;
  const { offsetWidth, offsetHeight } = figure;
  const right = place.right + GAP_PX, left = place.left - GAP_PX - offsetWidth;
  figure.style.left = `${right + offsetWidth <= innerWidth ? right : Math.max(left, 0)}px`;
  figure.style.top = `${Math.max(0, Math.min(place.top, innerHeight - offsetHeight))}px`;
}

function told(place, answer, words) {
  place.replaceChildren(element("p", { textContent: words }));
  const problems = answer.problems || [];
  if (problems.length) place.append(
    element("p", { className: "problem", textContent: `${answer.n_refused} rows were not used:` }),
    element("ul", {}, ...problems.map((text) => element("li", { textContent: text }))));
}

function form(id, work) {
  if (!at(id)) return;
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await work();
      await refresh();
    });
  });
}

form("by-ids", async () => {
  const answer = await ask("/api/prompts", { ids: at("ids").value, value: at("ids-value").value });
  told(at("told"), answer, `${answer.n_given} ids, ${answer.n_new} new labels.`);
});
form("by-class", async () => {
  const chosen = at("class").value;
  const answer = await ask("/api/class", { name: chosen, n: Number(at("class-n").value) });
  told(at("told"), answer, `${answer.n_new} galaxies of class ${chosen} are labelled positive.`);
});
form("by-table", async () => {
  const body = new FormData();
  body.append("table", at("table").files[0]);
  body.append("value", at("table-value").value);
  body.append("positive", at("table-positive").value);
  body.append("negative", at("table-negative").value);
  const answer = await ask("/api/table", body);
  told(at("told"), answer, `${answer.n_rows} rows, ${answer.n_new} new labels of ${answer.n_annotators} annotators; ${answer.n_known} were there already.`);
});

// Keys and buttons

function focusedTile() {
  const list = grids[part] || [];
  return list.find((tile) => tile.box.contains(document.activeElement));
}

function columns(list) {
  const top = list[0].box.offsetTop;
  const found = list.findIndex((tile) => tile.box.offsetTop > top);
  return found < 0 ? list.length : found;
}

function move(key) {
  const list = grids[part] || [];
  if (!list.length) return false;
  const now = list.indexOf(focusedTile());
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(list), ArrowDown: columns(list) }[key];
  const to = now < 0 ? 0 : now + step;
  if (list[to]) list[to].face.focus();
  return true;
}

function labelAndGoOn(value) {
  const tile = View.dialog.open ? viewed : focusedTile();
  if (!tile) return false;
  save(tile.galaxy.id, value);
  const list = grids[part] || [];
  const following = list[list.indexOf(tile) + 1];
  if (View.dialog.open) {
    if (following) openView(following);
    else View.dialog.close();
  }
  if (following) following.face.focus();
  return true;
}

const LABEL_KEYS = { y: "positive", n: "negative", m: "unsure" };

function pressed(event) {
  const { key, shiftKey } = event, list = grids[part] || [], tile = focusedTile();
  const onBody = document.activeElement === document.body;
  if (View.dialog.open) return pressedInView(key);
  if (document.querySelector("dialog[open]")) return false;
  if (key === "?") return at("help").showModal() || true;
  if (/^[1-9]$/.test(key) && list[key - 1]) return cycle(list[key - 1]) || true;
  if (key.startsWith("Arrow")) return move(key);
  if (LABEL_KEYS[key.toLowerCase()]) return labelAndGoOn(LABEL_KEYS[key.toLowerCase()]);
  if (key.toLowerCase() === "u") return undo() && true;
  if (key === "Enter" && (tile || onBody) && part === "round")
    return nextRound(shiftKey ? "negative" : "") && true;
  if (key === "Enter" && tile) return cycle(tile) || true;
  if (key === " " && tile) return openView(tile) || true;
  if (key.toLowerCase() === "l" && tile) return moreLike(tile.galaxy) && true;
  return false;
}

function pressedInView(key) {
  if (key === " " && document.activeElement.tagName !== "SELECT") return View.dialog.close() || true;
  if (LABEL_KEYS[key.toLowerCase()]) return labelAndGoOn(LABEL_KEYS[key.toLowerCase()]);
  if (key.toLowerCase() === "l") return moreLike(viewed.galaxy) && true;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!step || document.activeElement.type === "range") return false;
  const list = grids[part], to = list[list.indexOf(viewed) + step];
  if (to) openView(to);
  return true;
}

document.addEventListener("keydown", (event) => {
  endGlance();
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=range]), textarea, select");
  if (!typing && pressed(event)) event.preventDefault();
});

View.dialog.addEventListener("close", () => {
  if (viewed && viewed.grid === part) viewed.face.focus();
});
for (const button of document.querySelectorAll("nav button"))
  button.addEventListener("click", () => go(button.dataset.part));
for (const button of document.querySelectorAll("#view [data-label]"))
  button.addEventListener("click", () => labelAndGoOn(button.dataset.label));
at("view-close").addEventListener("click", () => View.dialog.close());
at("view-like").addEventListener("click", () => moreLike(viewed.galaxy));
at("like-back").addEventListener("click", () => go("round"));
at("next").addEventListener("click", () => nextRound(""));
at("rest").addEventListener("click", () => nextRound("negative"));
at("skip").addEventListener("click", () => nextRound("skip"));
at("undo").addEventListener("click", undo);
for (const name of ["rule", "alpha", "n"]) at(name).addEventListener("change", choose);
at("choice").addEventListener("submit", (event) => event.preventDefault());
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("filters").addEventListener("change", () => { galleryPage = 0; showGallery(); });
at("earlier").addEventListener("click", () => { galleryPage -= 1; showGallery(); });
at("later").addEventListener("click", () => { galleryPage += 1; showGallery(); });
at("training").addEventListener("click", () => attempt(async () => {
  const answer = await ask("/api/training", {});
  at("trained").replaceChildren(
    element("p", { textContent: `${answer.n_images} images in ${answer.folder} (${answer.n_left_out} could not be read); go on with:` }),
    element("pre", { textContent: answer.command }));
}));

// Another tab, another annotator, a new model: looked for every few seconds.
async function watch() {
  for (;; await wait(2500)) {
    if (document.hidden || queue.length || busy) continue;
    try {
      const now = await ask("/api/status");
      if (at("alarm").textContent.startsWith("The server does not answer")) alarm("");
      showModel(now);
      if (JSON.stringify(now.seen) !== JSON.stringify(state.seen)) await refresh();
    } catch (error) {
      alarm(`The server does not answer: ${error.message}. What you label is kept here and sent when it does.`);
    }
  }
}

async function start() {
  pump();
  await refresh();
  if (!state.round) await nextRound("");
  if (grids.round.length) firstOpen().face.focus();
  watch();
}

start();
