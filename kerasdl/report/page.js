"use strict";
(() => {
  const root = document.documentElement;
  const plots = [...document.querySelectorAll(".plot")];
  const source = document.getElementById("plotly-figures");
  const figures = source ? JSON.parse(source.textContent) : [];
  const coarse = matchMedia("(pointer: coarse)").matches;

  // Figures name the page's colours ("--text"); only values under a key that says colour are names.
  const resolve = (value, style, isColor) => {
    if (Array.isArray(value)) return value.map((part) => resolve(part, style, isColor));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(
        ([key, part]) => [key, resolve(part, style, /color/i.test(key))]));
    }
    return isColor && typeof value === "string" && value.startsWith("--")
      ? style.getPropertyValue(value).trim() : value;
  };

  const axis = (given, narrow) => ({
    gridcolor: "--grid", linecolor: "--line", zerolinecolor: "--line", tickcolor: "--line",
    ...given, title: { ...given.title, standoff: narrow ? 6 : 10, font: { size: 13, color: "--muted" } },
  });

  const draw = (plot, figure) => {
    const printing = root.classList.contains("printing");
    const narrow = plot.clientWidth < 480;
    // A chart that cannot be narrower than this is scrolled sideways instead, as wide tables are.
    const least = figure.layout.meta?.least_width;
    const scrolled = !printing && least > plot.clientWidth;
    plot.classList.toggle("scrolled", scrolled);
    if (scrolled) plot.tabIndex = 0; else plot.removeAttribute("tabindex");
    const layout = {
      autosize: !printing && !scrolled,
      width: printing ? (plot.closest(".half") ? 320 : 670) : scrolled ? least : undefined,
      height: figure.layout.height, paper_bgcolor: "--surface", plot_bgcolor: "--surface",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "--text" },
      margin: { l: 48, r: 12, t: (figure.layout.showlegend === false ? 0 : 22) + (figure.layout.annotations ? 22 : 8), b: 50 },
      legend: { orientation: "h", x: 0, xanchor: "left", yref: "container", y: 1, yanchor: "top", bgcolor: "--surface" },
      hoverlabel: { bgcolor: "--raised", bordercolor: "--line", font: { color: "--text" }, align: "left" },
      modebar: { bgcolor: "--surface", color: "--muted", activecolor: "--link" },
      dragmode: coarse ? false : "zoom",
      ...figure.layout,
    };
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(name)) layout[name] = axis(layout[name], narrow);
      if (/^yaxis\d*$/.test(name)) layout[name] = { automargin: true, ...layout[name] };
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
    document.querySelectorAll(".main-svg, .modebar svg, #js-plotly-tester").forEach(
      (drawing) => drawing.setAttribute("aria-hidden", "true"));
  };
  const drawAll = () => plots.forEach((plot, index) => draw(plot, figures[index]));
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Paper is white, and nobody can open what is folded on it.
  let opened = [];
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((part) => { part.open = true; });
    drawAll();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    opened.forEach((part) => { part.open = false; });
    drawAll();
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
  document.querySelectorAll("table.sortable").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sort(table, column));
    });
  });
})();
