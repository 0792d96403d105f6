// Small line charts over quality, as SVG in the page's own colours.
"use strict";

const WIDTH = 360, HEIGHT = 200, LEFT = 46, RIGHT = 18, TOP = 10, BOTTOM = 34;

const svg = (name, attributes, text) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

const across = (quality) => LEFT + (quality / 100) * (WIDTH - LEFT - RIGHT);

// share: of the height, from 0 at the bottom to 1 at the top.
const up = (share) => HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);

function chart(label, series, original, share, ticks) {
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  for (const [value, words] of ticks) {
    const y = up(share(value));
    drawing.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, stroke: "var(--line)" }));
    drawing.append(svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, words));
  }
  for (const quality of [0, 25, 50, 75, 100])
    drawing.append(svg("text", { x: across(quality), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, quality));
  const y = up(share(original));
  drawing.append(svg("line", {
    x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, stroke: "var(--muted)", "stroke-dasharray": "5 4", "stroke-width": 1.5,
  }));
  for (const [points, color] of series) {
    const path = points.map(([quality, value]) => `${across(quality)},${up(share(value))}`).join(" ");
    drawing.append(svg("polyline", { points: path, fill: "none", stroke: color, "stroke-width": 2.2 }));
    for (const [quality, value] of points)
      drawing.append(svg("circle", { cx: across(quality), cy: up(share(value)), r: 2.6, fill: color }));
  }
  drawing.append(svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, stroke: "var(--ink)" }));
  return drawing;
}

function probabilityChart(label, found) {
  const points = (which) => found[which].map((each) => [each.quality, each.probability]);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((value) => [value, `${100 * value}%`]);
  const series = [[points("default"), "var(--muted)"], [points("preset"), "var(--accent)"]];
  return chart(label, series, found.original.probability, (value) => value, ticks);
}

// Rank 1 at the top, logarithmic.
function rankChart(label, found) {
  const points = (which) => found[which].map((each) => [each.quality, each.rank]);
  const worst = Math.max(10, found.original.rank, ...[...found.default, ...found.preset].map((each) => each.rank));
  const share = (rank) => 1 - Math.log(rank) / Math.log(worst * 1.3);
  const ticks = [1, 2, 5, 10, 100, 1000].filter((rank) => rank <= worst).map((rank) => [rank, rank]);
  const series = [[points("default"), "var(--muted)"], [points("preset"), "var(--accent)"]];
  return chart(label, series, found.original.rank, share, ticks);
}

function moveCursors(quality) {
  for (const line of document.querySelectorAll("#curves .cursor")) {
    line.setAttribute("x1", across(quality));
    line.setAttribute("x2", across(quality));
  }
}
