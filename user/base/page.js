// SPDX-License-Identifier: GPL-2.0-only
/* What the pages share: texts, numbers, plots in SVG. */
const colours = ["#0067b1", "#d1570a", "#2e8540", "#8a3ffc", "#b0006d", "#6b5b00", "#00858a", "#7a4b2a", "#e05c8a", "#5a6b7c", "#9fb300", "#222222"];
const el = id => document.getElementById(id);
const esc = s => String(s).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const num = v => v === 0 ? "0" : Math.abs(v) >= 100 ? Math.round(v).toString() : v.toFixed(Math.abs(v) >= 10 ? 1 : 2);

/* Round steps of an axis from 0 or lo to hi. */
function ticks(lo, hi, want) {
  const raw = (hi - lo) / want || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw), out = [];
  for (let v = Math.ceil(lo / step) * step; v <= hi + step / 1e6; v += step) out.push(+v.toPrecision(12));
  return out;
}

/* A plot: draw(x, y) gives SVG inside it; log: y is logarithmic; marks: the ticks of x, which is logarithmic if none is 0. */
function plot(title, key, xs, ys, xlabel, ylabel, log, draw, marks) {
  const W = 540, H = 260, L = 62, R = 20, T = 10, B = 40, g = marks && marks[0] > 0 ? Math.log2 : v => v;
  const x = v => xs[0] === xs[1] ? (L + W - R) / 2 : L + (g(v) - g(xs[0])) / (g(xs[1]) - g(xs[0])) * (W - L - R);
  const f = log ? Math.log10 : v => v, y = v => H - B - (f(v) - f(ys[0])) / (f(ys[1]) - f(ys[0]) || 1) * (H - T - B);
  const yt = log ? Array.from({ length: Math.ceil(f(ys[1])) - Math.floor(f(ys[0])) + 1 }, (_, i) => 10 ** (Math.floor(f(ys[0])) + i))
    .filter(v => v >= ys[0] * .999 && v <= ys[1] * 1.001) : ticks(ys[0], ys[1], 5);
  let s = `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="${esc(title)}">`;
  for (const v of yt) s += `<line x1="${L}" x2="${W - R}" y1="${y(v)}" y2="${y(v)}" stroke="#eee"/><text x="${L - 6}" y="${y(v) + 4}" text-anchor="end">${+v.toPrecision(3)}</text>`;
  for (const v of marks || ticks(xs[0], xs[1], 6)) s += `<line x1="${x(v)}" x2="${x(v)}" y1="${H - B}" y2="${H - B + 4}" stroke="#888"/><text x="${x(v)}" y="${H - B + 16}" text-anchor="middle">${+v.toPrecision(4)}</text>`;
  s += draw(x, y, { L, R, T, B, W, H }) + `<line x1="${L}" x2="${W - R}" y1="${H - B}" y2="${H - B}" stroke="#888"/>` +
    `<text x="${(L + W - R) / 2}" y="${H - 6}" text-anchor="middle">${esc(xlabel)}</text>` +
    `<text transform="translate(13 ${(H - B + T) / 2}) rotate(-90)" text-anchor="middle">${esc(ylabel)}</text></svg>`;
  return `<figure><figcaption>${esc(title)} <span class="key">${key}</span></figcaption>${s}</figure>`;
}
const legend = names => names.map((n, i) => `<span class="name"><span class="swatch" style="background:${colours[i % colours.length]}"></span>${esc(n)}</span>`).join(" ");
