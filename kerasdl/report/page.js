"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, part = document) => [...part.querySelectorAll(selector)];
  const plots = all(".plot");
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  let figures = [];

  const unpacked = (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  // Figures name the page's colours ("--text"); only values under a key that says colour are names.
  const resolve = (value, style, isColor) => {
    if (Array.isArray(value)) return value.map((part) => resolve(part, style, isColor));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(
        ([key, part]) => [key, resolve(part, style, /color/i.test(key))]));
    }
    if (!isColor || typeof value !== "string" || !value.startsWith("--")) return value;
    const isDark = scheme.matches && !root.classList.contains("printing");
    return style.getPropertyValue(value).trim().replace(/^light-dark\((.*), (.*)\)$/, isDark ? "$2" : "$1");
  };

  const template = (layout, narrow) => {
    const axis = {
      gridcolor: "--grid", linecolor: "--line", zerolinecolor: "--line", tickcolor: "--line",
      title: { standoff: narrow ? 6 : 10, font: { size: 13, color: "--muted" } },
    };
    return { layout: {
      autosize: true, paper_bgcolor: "--surface", plot_bgcolor: "--surface", hovermode: "closest",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "--text" },
      margin: { l: 48, r: 12, t: (layout.showlegend === false ? 0 : 22) + (layout.annotations ? 22 : 8), b: 50 },
      legend: { orientation: "h", x: 0, xanchor: "left", yref: "container", y: 1, yanchor: "top", bgcolor: "--surface" },
      hoverlabel: { bgcolor: "--raised", bordercolor: "--line", font: { color: "--text" }, align: "left" },
      modebar: { bgcolor: "--surface", color: "--muted", activecolor: "--link" },
      dragmode: coarse ? false : "zoom", xaxis: axis, yaxis: { automargin: true, ...axis },
    } };
  };

  const draw = (plot, figure) => {
    const printing = root.classList.contains("printing");
    const layout = { ...figure.layout, template: template(figure.layout, plot.clientWidth < 480) };
    if (printing) Object.assign(layout, { autosize: false, width: plot.closest(".half") ? 320 : 670 });
    if (layout.meta?.crowded && plot.clientWidth < 480) {  // names would leave no room for the cells
      for (const name of ["xaxis", "yaxis"]) layout[name] = { ...layout[name], showticklabels: false };
      layout.margin = { l: 30, r: 8, t: 8, b: 30 };
    }
    if (layout.yaxis.scaleanchor) {  // square cells: no taller than the width allows
      const { l, r, t, b } = layout.margin;
      layout.height = Math.min(layout.height, (layout.width ?? plot.clientWidth) - l - r + t + b);
    }
    plot.style.height = `${layout.height}px`;
    const { data, layout: colored } = resolve({ data: figure.data, layout }, getComputedStyle(root), false);
    Plotly.react(plot, data, colored, {
      displaylogo: false, responsive: true, showSendToCloud: false, doubleClick: "reset",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    });
    // Said in the caption and the table; read out letter by letter it would be noise.
    all(".main-svg, .modebar svg, #js-plotly-tester").forEach(
      (drawing) => drawing.setAttribute("aria-hidden", "true"));
  };
  const drawAll = () => figures.forEach((figure, index) => draw(plots[index], figure));
  const begin = async () => {
    const script = document.createElement("script");
    script.textContent = await unpacked("plotly");
    document.head.append(script);
    figures = JSON.parse(await unpacked("plotly-figures"));
    drawAll();
    scheme.addEventListener("change", drawAll);
  };
  (plots.length ? begin() : Promise.resolve())
    .catch((error) => { document.getElementById("undrawn").hidden = false; console.error(error); })
    .finally(() => { root.dataset.drawn = "yes"; });

  // Paper is white, and nobody can open what is folded on it.
  let opened = [];
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    opened = all("details:not([open])");
    opened.forEach((part) => { part.open = true; });
    drawAll();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    opened.forEach((part) => { part.open = false; });
    drawAll();
  });

  // A page about work that goes on is written again; what a reader has unfolded stays so.
  const { every, written } = document.body.dataset;
  const folds = all("details");
  if (every) {
    (history.state?.opened ?? []).forEach((index) => { if (folds[index]) folds[index].open = true; });
    if (Date.now() / 1000 - written > 300 + 5 * every) document.getElementById("late").hidden = false;
    else setTimeout(() => {
      history.replaceState({ opened: [...folds.keys()].filter((index) => folds[index].open) }, "");
      location.reload();
    }, 1000 * Math.min(Math.max(every, 3), 60));
  }

  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.append(...text);
    made.addEventListener("click", () => act(made));
    return made;
  };
  all("table.tall").forEach((table) => {
    table.classList.add("cut");
    table.after(button([`Show all ${table.tBodies[0].rows.length} rows`], (made) => {
      table.classList.remove("cut");
      made.remove();
    }));
  });

  const compare = (a, b) => {
    const [x, y] = [a, b].map((cell) => cell.dataset.value ?? cell.textContent);
    if (x === "" || y === "") return x === y ? 0 : x === "" ? 1 : -1;
    return x - y || x.localeCompare(y, undefined, { numeric: true });
  };
  const sort = (table, column) => {
    const headings = [...table.tHead.rows[0].cells];
    const heading = headings[column];
    const first = heading.classList.contains("number") ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    const direction = heading.getAttribute("aria-sort") === first ? second : first;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => sign * compare(a.cells[column], b.cells[column]));
    table.tBodies[0].append(...rows);
  };
  all("table.sortable").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      heading.append(button([...heading.childNodes], () => sort(table, column)));
    });
  });
})();
