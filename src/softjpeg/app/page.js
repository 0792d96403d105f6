// What the page does: pictures in, settings, and what the app says of them.
"use strict";

const at = (id) => document.getElementById(id);
const pictures = [];
let shown = null, classNames = [], turn = 0;

const make = (name, text = "", className = "") => {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
};

const say = (words, isError = false) => {
  at("status").textContent = words;
  at("status").classList.toggle("error", isError);
};

async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  const words = await answer.json();
  if (!answer.ok) throw new Error(words.detail);
  return words;
}

const chosenNetworks = () => [...document.querySelectorAll("#networks input:checked")].map((box) => box.value);

function query(more = {}) {
  const words = { preset: at("preset").value, quality: at("quality").value, side: at("side").value, ...more };
  return new URLSearchParams(words).toString();
}

function label() {
  const words = at("label").value.trim();
  if (!words) return "";
  const index = /^\d+$/.test(words) ? Number(words) : classNames.indexOf(words);
  if (index < 0) throw new Error(`${words} is no class of the network: choose from the list, or give its number`);
  return String(index);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const size = (bytes) => `${bytes.toLocaleString("en")} bytes`;

function answerCell(reading, original) {
  const same = reading.answers[0][0] === original.answers[0][0];
  const cell = make("td");
  cell.append(make("span", `${same ? "✓" : "✗"} ${reading.answers[0][0]}, ${percent(reading.answers[0][1])}`, same ? "same" : "other"));
  cell.append(make("br"), make("span", `asked for: ${percent(reading.probability)}, rank ${reading.rank}`, "note"));
  return cell;
}

function showAnswers(all) {
  const table = make("table"), head = make("tr");
  for (const words of ["Network", "Class", "As it is", "Default JPEG", "Learned tables"]) {
    const cell = make("th", words);
    cell.scope = "col";
    head.append(cell);
  }
  table.append(make("thead"), make("tbody"));
  table.tHead.append(head);
  for (const [network, found] of all) {
    const row = make("tr"), name = make("th", network);
    name.scope = "row";
    row.append(name, make("td", found.target.name));
    for (const which of ["original", "default", "preset"]) row.append(answerCell(found[which], found.original));
    table.tBodies[0].append(row);
  }
  at("answers").replaceChildren(table);
}

function showMaps(maps) {
  at("maps").replaceChildren(...maps.map((map) => {
    const figure = make("figure"), table = make("table");
    table.setAttribute("aria-label", map.caption);
    for (const cells of map.rows) {
      const row = table.insertRow();
      for (const [text, background, color] of cells) {
        const cell = row.insertCell();
        cell.textContent = text;
        cell.style.background = background;
        cell.style.color = color;
      }
    }
    figure.append(make("figcaption", map.caption), table);
    return figure;
  }));
}

function showFiles(network, found) {
  const base = `/api/pictures/${shown.id}`, words = query({ network, label: label() });
  at("original").src = at("before").src = `${base}/original.png`;
  at("after").src = at("preset-file").src = `${base}/preset.jpg?${words}`;
  at("default-file").src = `${base}/default.jpg?${words}`;
  for (const which of ["default", "preset"]) at(`${which}-difference`).src = `${base}/${which}-difference.png?${words}`;
  at("sensitivity").src = `${base}/sensitivity.png?${words}`;
  at("sensitivity-caption").textContent = `${network}'s sensitivity`;
  at("default-caption").textContent = `default JPEG, quality ${found.default.quality}: ${size(found.default.bytes)}`;
  const stored = `${found.stored.width} × ${found.stored.height} pixels`;
  at("preset-caption").textContent = `learned tables: ${size(found.preset.bytes)}, ${stored}`;
  const stem = shown.name.replace(/\.[^.]*$/, "");
  at("download").href = `${base}/preset.jpg?${words}`;
  at("download").download = `${stem}.jpg`;
  at("tables").href = `${base}/tables.json?${words}`;
  at("tables").download = `${stem}-tables.json`;
  at("archive").href = `/api/archive.zip?${words}`;
  at("command").textContent = found.command;
}

async function showCurves(mine) {
  const drawn = [];
  for (const network of chosenNetworks()) {
    const found = await ask(`/api/pictures/${shown.id}/curves?${query({ network, label: label() })}`);
    for (const [what, draw] of [["probability", probabilityChart], ["rank", rankChart]]) {
      const figure = make("figure");
      const words = `${network}: ${what} of ${found.target.name}`;
      figure.append(make("figcaption", words), draw(`${words} over JPEG quality`, found));
      drawn.push(figure);
    }
  }
  if (mine !== turn) return;
  at("curves").replaceChildren(...drawn);
  moveCursors(Number(at("quality").value));
}

// What was asked for last is what is shown.
async function update(withCurves = true) {
  const mine = ++turn;
  if (!shown) return;
  try {
    await offered;
    if (!chosenNetworks().length) throw new Error("choose a network");
    say("Asking the network …");
    const all = [];
    for (const network of chosenNetworks())
      all.push([network, await ask(`/api/pictures/${shown.id}/compare?${query({ network, label: label() })}`)]);
    if (mine !== turn) return;
    at("result").hidden = false;
    showAnswers(all);
    showMaps(all[0][1].maps);
    showFiles(...all[0]);
    if (withCurves || !at("curves").children.length) await showCurves(mine);
    if (mine === turn) say(`${shown.name}, quality ${at("quality").value}: ${size(all[0][1].preset.bytes)}.`);
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

function show(picture) {
  shown = picture;
  for (const button of at("pictures").children) button.setAttribute("aria-pressed", button.value === String(picture.id));
  return update();
}

async function add(files) {
  for (const file of files) {
    try {
      say(`Reading ${file.name} …`);
      const words = new URLSearchParams({ name: file.name });
      const picture = await ask(`/api/pictures?${words}`, { method: "POST", body: file, headers: { "X-Softjpeg-App": "1" } });
      pictures.push(picture);
      const button = make("button", file.name);
      button.type = "button";
      button.value = picture.id;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => show(picture));
      at("pictures").append(button);
      at("clear").hidden = false;
    } catch (error) {
      say(error.message, true);
      return;
    }
  }
  if (pictures.length) await show(pictures.at(-1));
}

async function clear() {
  await ask("/api/clear", { method: "POST", headers: { "X-Softjpeg-App": "1" } });
  pictures.length = 0;
  shown = null;
  at("pictures").replaceChildren();
  at("batch").tBodies[0].replaceChildren();
  at("batch").hidden = at("clear").hidden = at("result").hidden = true;
  say("No picture yet.");
}

async function measure() {
  const body = at("batch").tBodies[0];
  body.replaceChildren();
  at("batch").hidden = false;
  try {
    for (const picture of pictures)
      for (const network of chosenNetworks()) {
        say(`Measuring ${picture.name} …`);
        const found = await ask(`/api/pictures/${picture.id}/compare?${query({ network })}`);
        const row = body.insertRow(), name = make("th", picture.name);
        name.scope = "row";
        row.append(name, make("td", network), make("td", size(found.preset.bytes)));
        row.append(answerCell(found.preset, found.original), answerCell(found.default, found.original));
      }
    say(`Measured: ${pictures.length}.`);
  } catch (error) {
    say(error.message, true);
  }
}

async function nameClasses() {
  const [network] = chosenNetworks();
  if (!network) return;
  classNames = await ask(`/api/classes?${new URLSearchParams({ network })}`);
  at("classes").replaceChildren(...classNames.map((name) => new Option(name)));
}

async function offer() {
  const choices = await ask("/api/choices");
  choices.networks.forEach((name, i) => {
    const words = make("label"), box = make("input");
    Object.assign(box, { type: "checkbox", value: name, checked: i === 0 });
    words.append(box, ` ${name}`);
    at("networks").append(words);
  });
  at("preset").replaceChildren(...choices.presets.map((name) => new Option(name)));
}

// Before anything is waited for: a picture dropped on a page that is still loading counts.
function listen() {
  at("files").addEventListener("change", () => add(at("files").files));
  at("clear").addEventListener("click", clear);
  at("measure").addEventListener("click", measure);
  at("settings").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["networks", "preset", "side", "label"]) at(id).addEventListener("change", () => update());
  at("label").addEventListener("focus", () => classNames.length || nameClasses().catch((error) => say(error.message, true)));
  let wait;
  at("quality").addEventListener("input", () => {
    at("shown-quality").textContent = at("quality").value;
    moveCursors(Number(at("quality").value));
    clearTimeout(wait);
    wait = setTimeout(() => update(false), 150);
  });
  at("wipe").addEventListener("input", () => { at("before").style.clipPath = `inset(0 ${100 - at("wipe").value}% 0 0)`; });
  at("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(at("command").textContent);
    say("Copied.");
  });
  const drop = document.body;
  for (const name of ["dragover", "dragleave", "drop"])
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", name === "dragover");
      if (name === "drop") add(event.dataTransfer.files);
    });
}

listen();
const offered = offer();
offered.catch((error) => say(error.message, true));
