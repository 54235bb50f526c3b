// What makes pages move: tables that sort and filter, charts of lines, candles and bars. No library, nothing is fetched.
"use strict";
(() => {
  const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a7a7a"];
  const DARK = ["#4fa8e0", "#ff8a4c", "#2fc79a", "#dfa3c5", "#8fd0f7", "#f0b429", "#a7a7a7"];
  const palette = () => (matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT);
  const DAY = 86400000;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  function written(value, unit) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (unit === "usd") return value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) < 100 ? 2 : 0 }) + " USD";
    if (unit === "percent") return (100 * value).toFixed(Math.abs(value) < 0.1 ? 2 : 1) + " %";
    if (unit === "price") return Number(value.toPrecision(6)).toLocaleString("en-US", { maximumSignificantDigits: 6 });
    return value.toFixed(2);
  }
  const dated = (ms, hours) => new Date(ms).toISOString().slice(0, hours ? 16 : 10).replace("T", " ");

  // Ticks at round numbers.
  function ticks(low, high, most) {
    const raw = (high - low) / Math.max(most, 1) || 1;
    const size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * size).find((s) => s >= raw);
    const found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) found.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
    return found;
  }

  // Ticks at the beginnings of months or years, days or hours, whichever fit.
  function timeTicks(low, high, most) {
    const span = (high - low) / Math.max(most, 1);
    const found = [];
    if (span < 20 * DAY) {
      const step = [3600000, 3 * 3600000, 6 * 3600000, 12 * 3600000, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY].find((s) => s >= span) || 28 * DAY;
      for (let t = Math.ceil(low / step) * step; t <= high; t += step) found.push([t, step < DAY ? dated(t, true).slice(5) : dated(t).slice(5)]);
      return found;
    }
    const months = [1, 2, 3, 6, 12, 24, 60].find((m) => m * 30 * DAY >= span) || 120;
    const first = new Date(low);
    for (let year = first.getUTCFullYear(), month = 0; ; month += months) {
      const t = Date.UTC(year, month, 1);
      if (t > high) break;
      if (t >= low) found.push([t, months < 12 ? new Date(t).toISOString().slice(0, 7) : String(new Date(t).getUTCFullYear())]);
    }
    return found;
  }

  class Canvas {
    constructor(figure, height) {
      this.figure = figure;
      this.bar = document.createElement("div");
      this.bar.className = "readout";
      this.canvas = document.createElement("canvas");
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", figure.dataset.label || "chart");
      const before = figure.querySelector("figcaption");
      figure.insertBefore(this.bar, before);
      figure.insertBefore(this.canvas, before);
      this.height = height;
      const again = () => this.draw();
      new ResizeObserver(again).observe(figure);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    }
    begin() {
      const width = this.figure.clientWidth || 800, ratio = window.devicePixelRatio || 1;
      this.width = width;
      this.canvas.style.width = width + "px";
      this.canvas.style.height = this.height + "px";
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(this.height * ratio);
      const pen = this.canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, this.height);
      pen.font = "12px system-ui, sans-serif";
      pen.lineJoin = "round";
      this.left = width < 500 ? 46 : 64;
      this.right = 8;
      return pen;
    }
    place(t) { return this.left + ((t - this.low) / (this.high - this.low)) * (this.width - this.left - this.right); }
    time(px) { return this.low + ((px - this.left) / (this.width - this.left - this.right)) * (this.high - this.low); }
    timeAxis(pen, top, bottom) {
      pen.textAlign = "center";
      pen.textBaseline = "top";
      for (const [t, name] of timeTicks(this.low, this.high, this.width / 110)) {
        const x = Math.round(this.place(t)) + 0.5;
        pen.strokeStyle = colour("--line");
        pen.beginPath(); pen.moveTo(x, top); pen.lineTo(x, bottom); pen.stroke();
        pen.fillStyle = colour("--soft");
        if (x > this.left + 18 && x < this.width - 24) pen.fillText(name, x, bottom + 5);
      }
    }
    valueAxis(pen, low, high, top, bottom, unit) {
      const place = (v) => bottom - ((v - low) / (high - low || 1)) * (bottom - top);
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      for (const tick of ticks(low, high, (bottom - top) / 38)) {
        const y = Math.round(place(tick)) + 0.5;
        pen.strokeStyle = tick === 0 ? colour("--faint") : colour("--line");
        pen.beginPath(); pen.moveTo(this.left, y); pen.lineTo(this.width - this.right, y); pen.stroke();
        pen.fillStyle = colour("--soft");
        const text = unit === "percent" ? Number((100 * tick).toPrecision(6)) + " %" : Math.abs(tick) >= 1000 ? Number((tick / 1000).toPrecision(5)) + "k" : String(Number(tick.toPrecision(6)));
        pen.fillText(text, this.left - 6, y);
      }
      return place;
    }
    // Drag to look closer, twice to see all; where a finger drags, the page scrolls.
    listen() {
      let began = null;
      this.canvas.addEventListener("pointermove", (event) => { this.at = event.offsetX; this.until = began === null ? null : event.offsetX; this.from = began; this.draw(); });
      this.canvas.addEventListener("pointerleave", () => { this.at = null; this.draw(); });
      this.canvas.addEventListener("pointerdown", (event) => { if (event.pointerType !== "touch") began = event.offsetX; });
      window.addEventListener("pointerup", () => {
        if (began !== null && this.at !== null && Math.abs(this.at - began) > 12) {
          const [a, b] = [began, this.at].sort((x, y) => x - y).map((px) => clamp(this.time(px), this.low, this.high));
          if (b > a) [this.low, this.high] = [a, b];
        }
        if (began !== null) { began = null; this.from = null; this.draw(); }
      });
      this.canvas.addEventListener("dblclick", () => { [this.low, this.high] = this.all; this.draw(); });
    }
    selection(pen, top, bottom) {
      if (this.from === null || this.from === undefined || this.at === null) return;
      pen.fillStyle = colour("--wash-strong");
      pen.fillRect(Math.min(this.from, this.at), top, Math.abs(this.at - this.from), bottom - top);
    }
    say(parts) {
      this.bar.replaceChildren(...parts.map(([text, shade, action, off]) => {
        const span = document.createElement(action ? "button" : "span");
        if (action) { span.type = "button"; span.addEventListener("click", action); span.setAttribute("aria-pressed", String(!off)); }
        if (shade) { const dot = document.createElement("i"); dot.style.background = shade; span.append(dot); }
        span.append(text);
        return span;
      }));
    }
  }

  class Lines extends Canvas {
    constructor(figure, data) {
      super(figure, data.panels.reduce((sum, panel) => sum + (panel.height || 150) + 40, 12));
      this.data = data;
      this.hidden = new Set();
      this.all = [data.times[0], data.times[data.times.length - 1] + DAY];
      [this.low, this.high] = this.all;
      this.listen();
      this.draw();
    }
    draw() {
      const pen = this.begin(), { times, panels, bands } = this.data;
      const first = Math.max(times.findIndex((t) => t >= this.low), 0);
      let last = times.length - 1;
      while (last > first && times[last] > this.high) last -= 1;
      let cursor = null;
      if (this.at !== null && this.at !== undefined && this.at >= this.left) {
        const t = this.time(this.at);
        cursor = first;
        for (let k = first; k <= last; k += 1) if (Math.abs(times[k] - t) < Math.abs(times[cursor] - t)) cursor = k;
      }
      let top = 20;
      const ranks = new Map();
      const said = [];
      for (const panel of panels) {
        const bottom = top + (panel.height || 150);
        for (const band of bands || []) {
          const [a, b] = [this.place(Math.max(band.from, this.low)), this.place(Math.min(band.to, this.high))];
          if (b <= a) continue;
          pen.fillStyle = colour("--band");
          pen.fillRect(a, top, b - a, bottom - top);
          if (panel === panels[0] && b - a > 70) {
            pen.fillStyle = colour("--soft"); pen.textAlign = "center"; pen.textBaseline = "bottom";
            pen.fillText(band.label, (a + b) / 2, top - 3);
          }
        }
        const shown = panel.series.filter((one) => !this.hidden.has(one.name));
        let low = Infinity, high = -Infinity;
        for (const one of shown) for (let k = first; k <= last; k += 1) {
          const v = one.values[k];
          if (v !== null) { low = Math.min(low, v); high = Math.max(high, v); }
        }
        if (panel.zero) { low = Math.min(low, 0); high = Math.max(high, 0); }
        if (!(high >= low)) { low = 0; high = 1; }
        const margin = 0.05 * (high - low || 1);
        low -= panel.zero && low === 0 ? 0 : margin;
        high += panel.zero && high === 0 ? 0 : margin;
        this.timeAxis(pen, top, bottom);
        const place = this.valueAxis(pen, low, high, top, bottom, panel.unit);
        pen.save();
        pen.beginPath(); pen.rect(this.left, top - 1, this.width - this.left - this.right, bottom - top + 2); pen.clip();
        for (const one of panel.series) {
          // What belongs to another series has its colour.
          const owner = one.of || one.name;
          if (!one.ink && !ranks.has(owner)) ranks.set(owner, ranks.size);
          const shade = one.ink ? colour("--ink") : palette()[ranks.get(owner) % LIGHT.length];
          said.push([one, shade, panel]);
          if (this.hidden.has(one.name)) continue;
          pen.strokeStyle = shade; pen.lineWidth = one.ink ? 1.8 : 1.3;
          const line = new Path2D(), area = new Path2D();
          let open = false, began = 0, reached = 0;
          const end = () => {
            if (open) { area.lineTo(reached, place(0)); area.lineTo(began, place(0)); area.closePath(); }
            open = false;
          };
          for (let k = Math.max(first - 1, 0); k <= Math.min(last + 1, times.length - 1); k += 1) {
            const v = one.values[k];
            if (v === null) { end(); continue; }
            const [x, y] = [this.place(times[k]), place(v)];
            if (open) { line.lineTo(x, y); area.lineTo(x, y); } else { line.moveTo(x, y); area.moveTo(x, y); began = x; }
            [open, reached] = [true, x];
          }
          end();
          pen.stroke(line);
          if (one.fill) { pen.globalAlpha = 0.18; pen.fillStyle = shade; pen.fill(area); pen.globalAlpha = 1; }
        }
        if (cursor !== null) {
          const x = this.place(times[cursor]);
          pen.strokeStyle = colour("--faint"); pen.lineWidth = 1; pen.setLineDash([3, 3]);
          pen.beginPath(); pen.moveTo(x, top); pen.lineTo(x, bottom); pen.stroke(); pen.setLineDash([]);
        }
        this.selection(pen, top, bottom);
        pen.restore();
        pen.lineWidth = 1;
        pen.fillStyle = colour("--soft"); pen.textAlign = "left"; pen.textBaseline = "bottom";
        if (panel.title) pen.fillText(panel.title, this.left, top - 4);
        top = bottom + 40;
      }
      const at = cursor === null ? last : cursor;
      this.say([[dated(times[at]), null], ...said.map(([one, shade, panel]) => [`${one.name} ${written(one.values[at], panel.unit)}`, shade, () => {
        if (!this.hidden.delete(one.name)) this.hidden.add(one.name);
        this.draw();
      }, this.hidden.has(one.name)])]);
    }
  }

  class Candles extends Canvas {
    constructor(figure, data) {
      super(figure, 420);
      this.data = data;
      this.choose = document.createElement("select");
      this.choose.setAttribute("aria-label", "asset");
      for (const name of Object.keys(data.assets)) this.choose.add(new Option(name, name));
      const buttons = [["–", 2, "look wider"], ["+", 0.5, "look closer"], ["◀", -0.5, "earlier"], ["▶", 0.5, "later"]].map(([text, by, label], k) => {
        const button = document.createElement("button");
        button.type = "button"; button.textContent = text; button.setAttribute("aria-label", label);
        button.addEventListener("click", () => (k < 2 ? this.zoom(by) : this.move(by)));
        return button;
      });
      const tools = document.createElement("div");
      tools.className = "tools";
      tools.append(this.choose, ...buttons);
      figure.insertBefore(tools, this.bar);
      this.choose.addEventListener("change", () => this.show(this.choose.value));
      this.listen();
      this.canvas.addEventListener("dblclick", () => this.draw());
      this.show(this.choose.value);
    }
    show(name, from, to) {
      const bars = this.data.assets[name];
      if (!bars) return;
      this.choose.value = name;
      this.name = name;
      this.all = [bars.t[0], bars.t[bars.t.length - 1] + this.data.bar];
      const width = Math.min(160 * this.data.bar, this.all[1] - this.all[0]);
      [this.low, this.high] = from === undefined ? [this.all[1] - width, this.all[1]] : this.within(from - 0.4 * Math.max(to - from, width / 2), to + 0.4 * Math.max(to - from, width / 2));
      this.draw();
    }
    within(low, high) {
      const width = Math.min(high - low, this.all[1] - this.all[0]);
      const begin = clamp(low, this.all[0], this.all[1] - width);
      return [begin, begin + width];
    }
    zoom(by) {
      const [middle, half] = [(this.low + this.high) / 2, (by * Math.max(this.high - this.low, 16 * this.data.bar)) / 2];
      [this.low, this.high] = this.within(middle - half, middle + half);
      this.draw();
    }
    move(by) {
      const width = this.high - this.low;
      [this.low, this.high] = this.within(this.low + by * width, this.high + by * width);
      this.draw();
    }
    draw() {
      const bars = this.data.assets[this.name];
      if (!bars) return;
      const pen = this.begin(), { bar } = this.data, [top, bottom] = [8, this.height - 24];
      const inside = bars.t.map((t, k) => k).filter((k) => bars.t[k] + bar >= this.low && bars.t[k] <= this.high);
      const trades = this.data.trades.filter((trade) => trade.symbol === this.name && trade.closed + bar >= this.low && trade.opened <= this.high);
      if (!inside.length) return;
      let low = Math.min(...inside.map((k) => bars.l[k])), high = Math.max(...inside.map((k) => bars.h[k]));
      const room = high - low;
      for (const trade of trades) if (trade.stop !== null) { low = Math.min(low, Math.max(trade.stop, low - 0.4 * room)); high = Math.max(high, Math.min(trade.stop, high + 0.4 * room)); }
      low -= 0.03 * room; high += 0.03 * room;
      this.timeAxis(pen, top, bottom);
      const place = this.valueAxis(pen, low, high, top, bottom, "price");
      pen.save();
      pen.beginPath(); pen.rect(this.left, top, this.width - this.left - this.right, bottom - top); pen.clip();
      const [up, down] = palette();
      for (const trade of trades) {
        const shade = trade.side === "long" ? up : down;
        pen.fillStyle = shade; pen.globalAlpha = 0.09;
        const [a, b] = [this.place(trade.opened), this.place(trade.closed + bar / 2)];
        pen.fillRect(a, top, Math.max(b - a, 1), bottom - top);
        pen.globalAlpha = 1;
        if (trade.stop !== null) { pen.strokeStyle = shade; pen.setLineDash([4, 3]); pen.beginPath(); pen.moveTo(a, place(trade.stop)); pen.lineTo(b, place(trade.stop)); pen.stroke(); pen.setLineDash([]); }
      }
      const width = clamp(0.7 * (this.place(this.low + bar) - this.place(this.low)), 1, 14);
      for (const k of inside) {
        const x = this.place(bars.t[k] + bar / 2), rises = bars.c[k] >= bars.o[k];
        pen.strokeStyle = pen.fillStyle = rises ? colour("--soft") : colour("--ink");
        pen.beginPath(); pen.moveTo(x, place(bars.h[k])); pen.lineTo(x, place(bars.l[k])); pen.stroke();
        const [y, tall] = [place(Math.max(bars.o[k], bars.c[k])), Math.max(Math.abs(place(bars.o[k]) - place(bars.c[k])), 1)];
        if (rises && width > 3) { pen.fillStyle = colour("--paper"); pen.fillRect(x - width / 2, y, width, tall); pen.strokeRect(x - width / 2, y, width, tall); } else pen.fillRect(x - width / 2, y, width, tall);
      }
      for (const trade of trades) {
        const shade = trade.side === "long" ? up : down, [a, b] = [this.place(trade.opened + bar / 2), this.place(trade.closed + bar / 2)];
        const [from, to] = [place(trade.entry), place(trade.exit)];
        pen.strokeStyle = shade; pen.lineWidth = 1.4;
        pen.beginPath(); pen.moveTo(a, from); pen.lineTo(b, to); pen.stroke();
        pen.fillStyle = shade;
        const sign = trade.side === "long" ? 1 : -1;
        pen.beginPath(); pen.moveTo(a, from); pen.lineTo(a - 6, from + 10 * sign); pen.lineTo(a + 6, from + 10 * sign); pen.closePath(); pen.fill();
        pen.lineWidth = 2;
        pen.beginPath(); pen.moveTo(b - 5, to - 5); pen.lineTo(b + 5, to + 5); pen.moveTo(b + 5, to - 5); pen.lineTo(b - 5, to + 5); pen.stroke();
        pen.lineWidth = 1;
      }
      this.selection(pen, top, bottom);
      const t = this.at === null || this.at === undefined ? null : this.time(this.at);
      const k = t === null ? inside[inside.length - 1] : inside.reduce((best, one) => (Math.abs(bars.t[one] + bar / 2 - t) < Math.abs(bars.t[best] + bar / 2 - t) ? one : best));
      const here = trades.filter((trade) => trade.opened <= bars.t[k] + bar && trade.closed + bar > bars.t[k]);
      pen.restore();
      const price = (v) => written(v, "price");
      this.say([[`${dated(bars.t[k], true)}  open ${price(bars.o[k])}  high ${price(bars.h[k])}  low ${price(bars.l[k])}  close ${price(bars.c[k])}`, null],
        ...here.map((one) => [`${one.side} from ${price(one.entry)}${one.stop === null ? "" : `, stop ${price(one.stop)}`}; ${one.reason === "open" ? "still open" : `${one.reason} at ${price(one.exit)}`}: ${written(one.pnl_usd, "usd")}`, one.side === "long" ? up : down])]);
    }
  }

  class Bars extends Canvas {
    constructor(figure, data) {
      super(figure, 220);
      this.data = data;
      this.canvas.addEventListener("pointermove", (event) => { this.at = event.offsetX; this.draw(); });
      this.canvas.addEventListener("pointerleave", () => { this.at = null; this.draw(); });
      this.draw();
    }
    draw() {
      const pen = this.begin(), { edges, counts, marks } = this.data, [top, bottom] = [16, this.height - 24];
      [this.low, this.high] = [edges[0], edges[edges.length - 1]];
      const place = this.valueAxis(pen, 0, 1.05 * Math.max(...counts), top, bottom, "count");
      let chosen = null;
      counts.forEach((count, k) => {
        const [a, b] = [this.place(edges[k]), this.place(edges[k + 1])];
        const over = this.at !== null && this.at !== undefined && this.at >= a && this.at < b;
        if (over) chosen = k;
        pen.fillStyle = edges[k] + edges[k + 1] >= 0 ? palette()[0] : palette()[1];
        pen.globalAlpha = over ? 1 : 0.75;
        pen.fillRect(a + 0.5, place(count), Math.max(b - a - 1, 1), bottom - place(count));
        pen.globalAlpha = 1;
      });
      pen.textBaseline = "top"; pen.textAlign = "center"; pen.fillStyle = colour("--soft");
      for (const tick of ticks(this.low, this.high, this.width / 110)) pen.fillText(written(tick, "percent"), clamp(this.place(tick), 30, this.width - 30), bottom + 5);
      for (const mark of marks || []) {
        const x = this.place(mark.at);
        pen.strokeStyle = colour("--ink"); pen.setLineDash([4, 3]);
        pen.beginPath(); pen.moveTo(x, top); pen.lineTo(x, bottom); pen.stroke(); pen.setLineDash([]);
        pen.fillStyle = colour("--ink"); pen.textBaseline = "bottom";
        // The leftmost stands left of its line, the others right of theirs: no label lies on another's line.
        const leftmost = marks.every((other) => other.at >= mark.at);
        pen.textAlign = leftmost ? "right" : "left";
        pen.fillText(mark.label, leftmost ? x - 3 : x + 3, top + 14 * (1 + (marks.indexOf(mark) % 2)));
      }
      this.say([[chosen === null ? `${counts.reduce((a, b) => a + b, 0)} days` : `${counts[chosen]} days from ${written(edges[chosen], "percent")} to ${written(edges[chosen + 1], "percent")}`, null]]);
    }
  }

  // Rows are sorted by what the cells of a column say: `data-v` where they carry a number, their text otherwise.
  function lively(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const value = (row, k) => { const cell = row.cells[k]; return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v); };
    heads.forEach((head, k) => {
      head.tabIndex = 0;
      const sort = () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [value(row, k), row]);
        const empty = (v) => v === "" || v === "–" || Number.isNaN(v);
        rows.sort(([a], [b]) => (empty(a) || empty(b) ? empty(a) - empty(b) : (down ? -1 : 1) * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)))));
        body.append(...rows.map(([, row]) => row));
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } });
    });
    if (!table.dataset.filter) return;
    const [box, count] = [document.createElement("input"), document.createElement("span")];
    box.type = "search"; box.placeholder = table.dataset.filter; box.setAttribute("aria-label", table.dataset.filter);
    count.className = "note";
    const tools = document.createElement("div");
    tools.className = "tools";
    tools.append(box, count);
    (table.closest(".scroll") || table).before(tools);
    // `sharpe>1` asks for the number that stands in the first column with that word in its name; null: it is a plain word.
    const bounded = (row, word) => {
      const [, name, sign, bound] = word.match(/^([a-z]+)([<>])(-?[\d.]+)$/) || [];
      const k = name === undefined ? -1 : heads.findIndex((head) => head.textContent.toLowerCase().includes(name));
      if (k < 0) return null;
      const found = parseFloat(row.cells[k].textContent.replaceAll(",", ""));
      return sign === ">" ? found > Number(bound) : found < Number(bound);
    };
    const look = () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let seen = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => bounded(row, word) ?? text.includes(word));
        seen += row.hidden ? 0 : 1;
      }
      count.textContent = `${seen} of ${body.rows.length}`;
    };
    box.addEventListener("input", look);
    look();
  }

  const kinds = { lines: Lines, candles: Candles, bars: Bars };
  const charts = {};
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    charts[figure.id] = new kinds[figure.dataset.chart](figure, data);
    figure.classList.add("live");
  }
  for (const table of document.querySelectorAll("table.lively")) lively(table);
  for (const row of document.querySelectorAll("tr[data-trade]")) {
    row.addEventListener("click", () => {
      const [symbol, opened, closed] = row.dataset.trade.split("|");
      charts.candles.show(symbol, Number(opened), Number(closed));
      document.getElementById("candles").scrollIntoView({ block: "center" });
    });
  }
  document.documentElement.classList.add("moves");
})();
