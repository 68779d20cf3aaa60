"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
/* A loop, as Uint8Array.from with a function takes twenty times as long, which is felt at a megabyte. */
function bytesOf(text) {
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}
const floats = (text) => new Float32Array(bytesOf(text).buffer);
const integers = (text) => new Int32Array(bytesOf(text).buffer);
const count = data.paths.length, side = data.thumb, columns = data.sheet_columns, perSheet = columns * columns;
const x = floats(data.x), y = floats(data.y), labels = integers(data.label), clusters = integers(data.cluster);
const near = integers(data.neighbours), alike = floats(data.similarity), each = data.neighbour_count;
const number = (n) => n.toLocaleString("en");

/* An element with a text and attributes. */
function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/* ---- thumbnails: sheets are decoded when one of their images is first wanted ---- */

const sheets = [];
function sheet(n) {
  if (!sheets[n]) {
    const text = $("sheet" + n);
    sheets[n] = URL.createObjectURL(new Blob([bytesOf(text.textContent)], { type: "image/jpeg" }));
    text.remove();
  }
  return sheets[n];
}

function thumb(i, size = side) {
  const span = make("span", "", { class: "thumb", role: "img", "aria-label": data.paths[i] });
  const place = i % perSheet, rows = Math.ceil(Math.min(perSheet, count - (i - place)) / columns);
  span.style.width = span.style.height = size + "px";
  if (data.thumbs) {
    span.style.backgroundImage = `url(${sheet((i - place) / perSheet)})`;
    span.style.backgroundSize = `${columns * size}px ${rows * size}px`;
    span.style.backgroundPosition = `${-(place % columns) * size}px ${-Math.floor(place / columns) * size}px`;
  }
  return span;
}

const short = (path) => path.slice(path.lastIndexOf("/") + 1);

function tile(i, extra = "") {
  const item = make("li"), button = make("button", "", { type: "button", title: data.paths[i] });
  button.append(thumb(i, Math.max(side, 64)), make("span", short(data.paths[i]) + extra, { class: "text" }));
  button.addEventListener("click", () => select(i, true));
  item.append(button);
  return item;
}

/* ---- the map ---- */

const dark = matchMedia("(prefers-color-scheme: dark)");
/* Colours apart from each other, also for most who see fewer: Okabe and Ito's, then steps of the golden angle. */
const first = ["#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#0072b2", "#b2a800", "#7f7f7f"];
const colour = (n) => (n < first.length ? first[n] : `hsl(${(n * 137.508) % 360}, 65%, ${dark.matches ? 62 : 42}%)`);

const map = L.map("map", { crs: L.CRS.Simple, preferCanvas: true, renderer: L.canvas({ padding: 0.2, tolerance: 3 }), minZoom: -3,
  maxZoom: 12, zoomSnap: 0.25, wheelPxPerZoomLevel: 90, attributionControl: true });
map.attributionControl.setPrefix("Leaflet");
const radius = count > 5000 ? 2.5 : count > 800 ? 3.5 : 5;
const points = [], group = L.featureGroup();
let by = "label", shown = [];
const colourOf = (i) => colour(by === "label" ? labels[i] : clusters[i]);
for (let i = 0; i < count; i++) {
  const point = L.circleMarker([y[i], x[i]], { radius, weight: 0, fillOpacity: 0.85, fillColor: colourOf(i) });
  point.i = i;
  points.push(point);
}
group.addTo(map);
let low = [Infinity, Infinity], high = [-Infinity, -Infinity];
for (let i = 0; i < count; i++) {
  low = [Math.min(low[0], y[i]), Math.min(low[1], x[i])];
  high = [Math.max(high[0], y[i]), Math.max(high[1], x[i])];
}
const home = L.latLngBounds([low, high]).pad(0.05);
map.fitBounds(home);

const tip = L.tooltip({ direction: "top", offset: [0, -6], opacity: 0.97 });
function describe(i) {
  const box = make("div");
  box.append(thumb(i, Math.max(side, 64)), make("b", short(data.paths[i])), make("div", data.labels[labels[i]] || ""));
  return box;
}
group.on("mouseover", (event) => tip.setLatLng(event.layer.getLatLng()).setContent(describe(event.layer.i)).addTo(map));
group.on("mouseout", () => tip.remove());
group.on("click", (event) => { L.DomEvent.stopPropagation(event); select(event.layer.i, false); });

/* Where few points are in sight, their images stand on the map. */
const pictures = L.layerGroup().addTo(map), PICTURES_MAX = 60;
function drawPictures() {
  pictures.clearLayers();
  if (!data.thumbs) return;
  const sight = map.getBounds(), seen = [];
  for (const i of shown) {
    if (sight.contains([y[i], x[i]])) seen.push(i);
    if (seen.length > PICTURES_MAX) return;
  }
  for (const i of seen) {
    const icon = L.divIcon({ html: thumb(i, 40), className: "", iconSize: [40, 40] });
    const marker = L.marker([y[i], x[i]], { icon, keyboard: false });
    marker.on("click", () => select(i, false));
    marker.on("mouseover", () => tip.setLatLng([y[i], x[i]]).setContent(describe(i)).addTo(map));
    marker.on("mouseout", () => tip.remove());
    pictures.addLayer(marker);
  }
}
map.on("moveend", drawPictures);

/* ---- search and filter ---- */

const ring = L.circleMarker([0, 0], { radius: 11, weight: 3, fill: false, interactive: false });
const LIST_MAX = 100;

function filter() {
  const words = $("search").value.toLowerCase(), label = $("label").value;
  shown = [];
  for (let i = 0; i < count; i++)
    if ((label === "" || labels[i] === Number(label)) && data.paths[i].toLowerCase().includes(words)) shown.push(i);
  group.clearLayers();
  for (const i of shown) group.addLayer(points[i]);
  $("matches").textContent = shown.length === count ? `${number(count)} images` : `${number(shown.length)} of ${number(count)} images`;
  $("list").replaceChildren(...shown.slice(0, LIST_MAX).map((i) => {
    const item = make("li"), button = make("button", "", { type: "button" });
    button.append(thumb(i, 32), make("span", data.paths[i]));
    button.addEventListener("click", () => select(i, true));
    item.append(button);
    return item;
  }));
  $("found-title").textContent = shown.length > LIST_MAX ? `First ${LIST_MAX} of ${number(shown.length)} images` : "Images";
  drawPictures();
}

let waiting;
$("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
$("label").addEventListener("change", filter);
$("reset").addEventListener("click", () => {
  $("search").value = $("label").value = "";
  filter();
  map.fitBounds(home);
});

/* ---- one image ---- */

let current = -1;
function select(i, move) {
  current = i;
  $("selected").hidden = false;
  $("large").replaceChildren(thumb(i, 128));
  $("name").textContent = data.paths[i];
  const size = data.width[i] ? `, ${data.width[i]} × ${data.height[i]} pixels` : "";
  $("about").textContent = `${data.labels[labels[i]] ? "label " + data.labels[labels[i]] + ", " : ""}cluster ${clusters[i]}${size}`;
  const tiles = [];
  for (let n = 0; n < each; n++) {
    const j = near[i * each + n];
    if (j >= 0) tiles.push(tile(j, ` ${alike[i * each + n].toFixed(3)}`));
  }
  $("neighbours").replaceChildren(...tiles);
  ring.setLatLng([y[i], x[i]]).setStyle({ color: dark.matches ? "#ffffff" : "#000000" }).addTo(map);
  if (move && !map.getBounds().contains([y[i], x[i]])) map.panTo([y[i], x[i]]);
  $("side").scrollTop = 0;
}
function step(by) {
  const place = shown.indexOf(current);
  if (shown.length) select(shown[(place + by + shown.length) % shown.length], true);
}
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));

/* ---- colours ---- */

function legend() {
  const names = by === "label" ? data.labels.map((name) => name || "(none)") : data.clusters.map((n, i) => `cluster ${i}`);
  const sizes = new Array(names.length).fill(0);
  for (let i = 0; i < count; i++) sizes[by === "label" ? labels[i] : clusters[i]]++;
  $("legend").replaceChildren(...names.map((name, n) => {
    const item = make("li"), dot = make("i");
    dot.style.background = colour(n);
    item.append(dot, `${name} (${number(sizes[n])})`);
    return item;
  }));
}
function paint() {
  for (const point of points) point.setStyle({ fillColor: colourOf(point.i) });
  legend();
}
if (data.labels.length > 1) $("colour").append(make("option", "by label", { value: "label" }));
$("colour").append(make("option", "by cluster", { value: "cluster" }));
by = $("colour").value;
$("colour").addEventListener("change", () => { by = $("colour").value; paint(); });
dark.addEventListener("change", paint);

/* ---- the other sections ---- */

function table(head, rows) {
  const element = make("table"), top = make("tr"), box = make("div", "", { class: "wide" });
  head.forEach((text) => top.append(make("th", text, { scope: "col" })));
  element.append(top);
  for (const row of rows) {
    const line = make("tr");
    row.forEach((text) => line.append(make("td", String(text))));
    element.append(line);
  }
  box.append(element);
  return box;
}

/* Bars of each component's share, a line of their sum. */
function scree() {
  const shares = data.explained, width = 700, height = 240, left = 44, bottom = 30;
  if (!shares.length) return make("p", "There is no PCA in this folder.");
  const space = "http://www.w3.org/2000/svg";
  const draw = (tag, attributes, text = "") => {
    const element = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const total = shares.reduce((a, b) => a + b, 0), box = make("div");
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${shares.length} components explain ${(100 * total).toFixed(2)} percent of the variance` });
  const inner = width - left - 8, tall = height - bottom - 10, step = inner / shares.length;
  for (let tick = 0; tick <= 4; tick++) {
    const at = 10 + tall * (1 - tick / 4);
    svg.append(draw("line", { x1: left, x2: width - 8, y1: at, y2: at, stroke: "var(--line)" }));
    svg.append(draw("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, `${25 * tick} %`));
  }
  let sum = 0, line = "";
  shares.forEach((share, n) => {
    const tallness = tall * share;
    svg.append(draw("rect", { x: left + n * step, y: 10 + tall - tallness, width: Math.max(step * 0.8, 0.5), height: tallness,
      fill: "var(--accent)" }));
    sum += share;
    line += `${n ? "L" : "M"}${(left + (n + 0.5) * step).toFixed(2)},${(10 + tall * (1 - sum)).toFixed(2)}`;
  });
  svg.append(draw("path", { d: line, fill: "none", stroke: "var(--fore)", "stroke-width": 2 }));
  svg.append(draw("text", { x: left, y: height - 8 }, "component 1"));
  svg.append(draw("text", { x: width - 8, y: height - 8, "text-anchor": "end" }, `component ${number(shares.length)}`));
  box.append(svg, make("p", `${number(shares.length)} components explain ${(100 * total).toFixed(2)} % of the variance. Bars: each `
    + "component; line: all up to it."));
  return box;
}
$("scree").append(scree());

const doubles = data.duplicates;
$("duplicates-about").textContent = doubles.groups === 0 ? `No two images have a similarity of ${doubles.threshold} or more.`
  : `${number(doubles.images)} images stand in ${number(doubles.groups)} groups in which each has a similarity of at least `
    + `${doubles.threshold} to another. Largest groups first${doubles.groups > doubles.list.length ? `, ${doubles.list.length} of them` : ""}.`;
let groupsShown = 0;
function moreGroups() {
  for (const members of doubles.list.slice(groupsShown, groupsShown + 20)) {
    const box = make("div", "", { class: "group" }), grid = make("ul", "", { class: "grid" });
    members.rows.forEach((i) => grid.append(tile(i)));
    if (members.size > members.rows.length) grid.append(make("li", `and ${number(members.size - members.rows.length)} more`));
    box.append(grid);
    $("groups").append(box);
  }
  groupsShown += 20;
  $("more").hidden = groupsShown >= doubles.list.length;
}
const more = make("button", "Show more groups", { type: "button", id: "more" });
more.addEventListener("click", moreGroups);
$("duplicates").append(more);
moreGroups();

$("failure-table").append(data.failures.length
  ? table(["status", "images", "for example", "reason"], data.failures.map((f) => [f.status, number(f.count), f.path, f.error]))
  : make("p", "All images were read."));
$("recipe-table").append(table(["field", "value"],
  Object.entries(data.recipe).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : value])));

/* ---- begin ---- */

document.title = `coulis: ${data.folder}`;
$("title").textContent = data.folder;
$("counts").textContent = (data.images === count ? `${number(count)} images` : `${number(count)} of ${number(data.images)} images, spread evenly`)
  + `, vectors of ${number(data.dimensions)} dimensions. `
  + (data.map ? `The map is by ${data.map}: images that are near each other are similar, far distances say little`
    : "The map shows the first two principal components")
  + (data.failed ? `. ${number(data.failed)} files could not be read.` : ".");
const sizes = new Array(data.labels.length).fill(0);
for (let i = 0; i < count; i++) sizes[labels[i]]++;
data.labels.forEach((name, n) => $("label").append(make("option", `${name || "(none)"} (${number(sizes[n])})`, { value: n })));
paint();
filter();
document.body.dataset.ready = "yes";
})();
