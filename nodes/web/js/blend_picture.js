// How the chart of WBMBlend looks: the plot as SVG, the legend below it, in the page's colours.

import { app } from "../../../scripts/app.js";

const STYLE_SHEET = `
.blendgan-chart {
  position: relative; display: flex; flex-direction: column; gap: 4px;
  box-sizing: border-box; padding: 8px 8px 4px; border-radius: 6px;
  background: var(--comfy-input-bg, #222); color: var(--input-text, #ddd);
  font: 10px sans-serif; user-select: none;
}
.blendgan-chart svg {
  flex: 1; width: 100%; min-height: 0; overflow: visible; touch-action: none;
}
.blendgan-chart svg * {
  vector-effect: non-scaling-stroke; fill: none; stroke: currentColor; pointer-events: none;
}
.blendgan-chart :is(.share, .base) { color: var(--color-datatype-BLENDGAN_STYLE, #f06292); }
.blendgan-chart .alpha { color: #4db6ac; }
.blendgan-chart svg .share { fill: currentColor; stroke: none; }
.blendgan-chart svg .alpha { stroke-width: 2; }
.blendgan-chart svg .mask { stroke-opacity: 0.6; stroke-dasharray: 3 2; }
.blendgan-chart svg .ground { stroke-opacity: 0.35; }
.blendgan-chart .guess { opacity: 0.35; }
.blendgan-chart div {
  display: flex; justify-content: space-between; height: 13px; line-height: 13px;
  white-space: nowrap; overflow: hidden;
}
.blendgan-chart .ends { opacity: 0.6; }
.blendgan-chart i { font-style: normal; margin-right: 3px; }
.blendgan-chart button {
  position: absolute; top: 2px; left: 4px; padding: 0 4px; border: 0; border-radius: 4px;
  background: var(--comfy-menu-bg, #353535); color: inherit;
  font-size: 13px; line-height: 18px; cursor: pointer;
}
`;

const WORDS = {
  en: {
    coarse: "coarse",
    fine: "fine",
    share: "result",
    mask: "mask",
    alpha: "alpha",
    layer: "layer",
    reset: "Back to alpha and mask (double click)",
    guess: "run once to see alpha and to draw",
    problem: "the curve needs {layers} numbers, 0 to 1",
  },
  zh: {
    coarse: "粗",
    fine: "细",
    share: "结果",
    mask: "遮罩",
    alpha: "alpha",
    layer: "层",
    reset: "恢复为 alpha 与遮罩（双击）",
    guess: "运行一次后显示 alpha 并可绘制",
    problem: "曲线需要 {layers} 个 0 到 1 的数",
  },
};

/** The chart's words in the language of the page, or in English. */
export function words() {
  const language = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
  return WORDS[language.split("-")[0]] ?? WORDS.en;
}

export function addStyleSheet() {
  const style = document.createElement("style");
  style.textContent = STYLE_SHEET;
  document.head.append(style);
}

/** Draw the lists of a blendState: across the layers, upwards the style's share. */
export function drawPlot(svg, { layers, mask, alpha, base, share }) {
  const bar = (name, value, layer) =>
    `<rect class="${name}" x="${layer + 0.12}" y="${1 - value}" width="0.76" height="${value}"/>`;
  const steps = mask.map((value, layer) => `${layer ? "L" : "M"}${layer} ${1 - value}h1`);
  svg.setAttribute("viewBox", `0 0 ${layers} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.innerHTML = [
    `<path class="ground" d="M0 1h${layers}M0 0h${layers}"/>`,
    `<g class="${alpha ? "" : "guess"}">`,
    ...share.map((value, layer) => bar("share", value, layer)),
    ...base.map((value, layer) => (value === share[layer] ? "" : bar("base", value, layer))),
    "</g>",
    `<path class="mask" d="${steps.join("")}"/>`,
    ...(alpha ?? []).map((value, layer) => `<path class="alpha" d="M${layer} ${1 - value}h1"/>`),
  ].join("");
}

/** What the lines are; for a layer under the pointer its numbers; or what is missing or wrong. */
export function drawLegend(element, { layers, mask, alpha, share, problem }, pointed) {
  const word = words();
  const text = (words, name = "") => `<span class="${name}">${words}</span>`;
  const key = (name, sign, words) => text(`<i class="${name}">${sign}</i>${words}`);
  const keys = (words) => [
    key("share", "■", words.share),
    key("mask", "┅", words.mask),
    key("alpha", "━", words.alpha),
  ];
  let parts;
  if (problem) {
    parts = [text(word.problem.replace("{layers}", layers))];
  } else if (!alpha) {
    parts = [text(word.guess)];
  } else if (pointed === null) {
    parts = [text(word.coarse, "ends"), ...keys(word), text(word.fine, "ends")];
  } else {
    const number = (values) => values[pointed].toFixed(2);
    const numbers = { share: number(share), mask: number(mask), alpha: number(alpha) };
    parts = [text(`${word.layer} ${pointed}`), ...keys(numbers)];
  }
  element.innerHTML = parts.join("");
}
