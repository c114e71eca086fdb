// The round in a notebook: what Python's LabelWidget shows, and what is clicked. A label has its tick
// only when Python says that it is in the store.

const VALUES = ["positive", "negative", "unsure"];
const SIGNS = { positive: "+ positive", negative: "− negative", unsure: "? unsure" };
const LABEL_KEYS = { y: "positive", n: "negative", m: "unsure" };
const KEYS = "1-9 or click: positive, negative, unsure · Y N M label and go on · arrows · Space big view · U undo · Enter next round · Shift+Enter rest negative";
const SLOW_MS = 8000;
const LOOK_MS = 2500;

function element(kind, properties, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const told = new Map();
  let tiles = [], round = -1, at = 0;
  const title = element("strong", {}), counts = element("span", { className: "quiet" });
  const sentence = element("p", {}), alarm = element("p", { className: "alarm", role: "alert", hidden: true });
  const grid = element("div", { className: "grid", role: "group", ariaLabel: "Galaxies to label" });
  const nothing = element("p", { hidden: true }), kept = element("p", { className: "quiet", role: "status" });
  const look = element("figure", { className: "look", hidden: true });
  const rule = element("select", { ariaLabel: "Rule" });
  const alpha = element("input", { type: "range", min: 0, max: 1, step: 0.05, ariaLabel: "alpha" });
  const alphaValue = element("output", {});
  const button = (words, work) => {
    const made = element("button", { type: "button", textContent: words });
    made.addEventListener("click", work);
    return made;
  };
  const ask = (kind, more = {}) => model.send({ kind, ...more });
  const next = (rest) => ask("next", { rest });
  const undo = () => ask("undo", { number: model.get("state").last });
  for (const [key, words] of Object.entries(model.get("about").rules))
    rule.append(element("option", { value: key, textContent: words }));
  const choose = () => ask("choose", {
    rule: rule.value, alpha: Number(alpha.value), n: model.get("state").choice.n });
  rule.addEventListener("change", choose);
  alpha.addEventListener("change", choose);
  const box = element("div", { className: "galaxy-lvm", tabIndex: -1 },
    element("div", { className: "bar" }, title, counts), alarm, sentence, grid, nothing, look,
    element("div", { className: "bar" }, button("Next round", () => next("")),
      button("Rest negative, next", () => next("negative")), button("Skip the rest", () => next("skip")),
      button("Undo", undo), element("label", {}, "Rule ", rule), element("label", {}, "alpha ", alpha, alphaValue)),
    kept, element("p", { className: "quiet", textContent: KEYS }));

  function save(tile, value) {
    if (valueOf(tile.galaxy) === value) return;
    told.set(tile.galaxy.id, { value, since: Date.now() });
    paint();
    ask("label", { id: tile.galaxy.id, value });
  }

  function cycle(tile) {
    save(tile, VALUES[(VALUES.indexOf(valueOf(tile.galaxy)) + 1) % VALUES.length]);
  }

  function valueOf(galaxy) {
    return told.has(galaxy.id) ? told.get(galaxy.id).value : galaxy.value;
  }

  function makeTile(galaxy, number) {
    const source = model.get("pictures")[galaxy.id];
    const image = source ? element("img", { src: source, alt: "", draggable: false })
      : element("span", { className: "broken", textContent: "this image cannot be read" });
    const sign = element("span", { className: "mark" });
    const score = galaxy.score === null ? "" : ` ${galaxy.score.toFixed(2)}`;
    const face = element("button", { type: "button", className: "tile" }, image,
      element("span", { className: "caption" }, element("span", { textContent: `${number} ${galaxy.id}${score}` }), sign));
    face.dataset.id = galaxy.id;
    const tile = { galaxy, face, sign, number };
    face.addEventListener("focus", () => { at = number - 1; });
    face.addEventListener("click", () => { focus(number - 1); cycle(tile); });
    return tile;
  }

  function focus(number) {
    if (!tiles.length) return;
    at = Math.min(Math.max(number, 0), tiles.length - 1);
    tiles[at].face.focus();
  }

  // Tiles stay while the round is the same: a picture must not flicker under the cursor.
  function fill(state) {
    const same = round === state.round && tiles.length === state.galaxies.length
      && tiles.every((tile, i) => tile.galaxy.id === state.galaxies[i].id);
    if (same) tiles.forEach((tile, i) => { tile.galaxy = state.galaxies[i]; });
    else {
      const held = box.contains(document.activeElement);
      tiles = state.galaxies.map((galaxy, i) => makeTile(galaxy, i + 1));
      grid.replaceChildren(...tiles.map((tile) => tile.face));
      look.hidden = true;
      if (round !== state.round) at = 0;
      if (held) focus(at);
    }
    round = state.round;
  }

  function paint() {
    const late = [...told.values()].filter((one) => Date.now() - one.since > SLOW_MS).length;
    for (const tile of tiles) {
      const value = valueOf(tile.galaxy), waits = told.has(tile.galaxy.id);
      tile.face.dataset.value = value;
      tile.face.dataset.kept = value ? (waits ? "no" : "yes") : "";
      tile.sign.textContent = value ? `${SIGNS[value]} ${waits ? "…" : "✓"}` : "";
      tile.face.setAttribute("aria-label", `${tile.number}, galaxy ${tile.galaxy.id}: ${value || "no label"}`);
    }
    kept.textContent = !told.size ? "all labels are on disk"
      : `${told.size} not saved yet${late ? "; is the kernel busy or gone? what has no tick is not kept" : ""}`;
  }

  function show() {
    const state = model.get("state");
    for (const galaxy of state.galaxies)
      if (told.has(galaxy.id) && told.get(galaxy.id).value === galaxy.value) told.delete(galaxy.id);
    fill(state);
    title.textContent = `${model.get("about").target}, ${state.round ? `round ${state.round}` : "no round yet"}`;
    counts.textContent = ` ${state.n_positive} positive, ${state.n_negative} negative, ${state.n_unsure} unsure of ${state.n_pool}`;
    sentence.textContent = state.sentence;
    rule.value = state.choice.rule;
    alpha.value = state.choice.alpha;
    alphaValue.textContent = ` ${state.choice.alpha}`;
    alpha.disabled = state.choice.rule !== "alpha";
    paint();
  }

  function showAlarm() {
    const words = model.get("alarm");
    alarm.textContent = words;
    alarm.hidden = !words;
    // What was refused is not kept, and must not look so.
    if (words) told.clear();
    paint();
  }

  function showWaiting() {
    const words = {
      prompts: "No galaxy is labelled positive yet: call examples() or label([ids]) in a cell, or choose the rule “at random”, which then holds until one is.",
      fitting: "The first model is being made …",
      done: "Every galaxy of the pool has a label, or is with another annotator.",
    }[model.get("waiting")];
    nothing.textContent = words || "";
    nothing.hidden = !words;
  }

  function showLooked() {
    const { row, picture } = model.get("looked");
    const tile = tiles.find((one) => one.galaxy.row === row);
    if (!tile || look.dataset.row !== String(row)) return;
    look.replaceChildren(element("img", { src: picture, alt: `galaxy ${tile.galaxy.id}` }),
      element("figcaption", { textContent: tile.galaxy.id }));
    look.hidden = false;
  }

  function openLook(tile) {
    if (!look.hidden) { look.hidden = true; return; }
    look.dataset.row = tile.galaxy.row;
    showLooked();
    ask("look", { row: tile.galaxy.row });
  }

  function columns() {
    const found = tiles.findIndex((tile) => tile.face.offsetTop > tiles[0].face.offsetTop);
    return found < 0 ? tiles.length : found;
  }

  function pressed({ key, shiftKey }) {
    const tile = tiles[at], letter = key.toLowerCase();
    if (letter === "u") return undo(), true;
    if (key === "Enter") return next(shiftKey ? "negative" : ""), true;
    if (!tile) return false;
    if (/^[1-9]$/.test(key) && tiles[key - 1]) return cycle(tiles[key - 1]), true;
    if (LABEL_KEYS[letter]) return save(tile, LABEL_KEYS[letter]), focus(at + 1), true;
    if (key === " ") return openLook(tile), true;
    if (!key.startsWith("Arrow")) return false;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() }[key];
    if (tiles[at + step]) focus(at + step);
    return true;
  }

  // The notebook has keys of its own: those of the widget stay within it.
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const elsewhere = event.target.matches("select, input") || (event.target.matches("button:not(.tile)")
      && ["Enter", " "].includes(event.key));
    event.stopPropagation();
    if (!elsewhere && pressed(event)) event.preventDefault();
  });

  const heard = { state: show, pictures: () => { round = -1; show(); }, alarm: showAlarm, waiting: showWaiting, looked: showLooked };
  for (const [name, work] of Object.entries(heard)) model.on(`change:${name}`, work);
  // A model that is ready, another annotator: looked for every few seconds.
  const watch = setInterval(() => {
    paint();
    if (document.hidden || told.size) return;
    if (model.get("waiting") === "fitting") next("");
    else ask("state");
  }, LOOK_MS);
  el.append(box);
  show();
  showWaiting();
  showAlarm();
  return () => {
    clearInterval(watch);
    for (const [name, work] of Object.entries(heard)) model.off(`change:${name}`, work);
  };
}

export default { render };
