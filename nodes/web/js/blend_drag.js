// Lets the pointer draw the curve of WBMBlend into its chart.

import { formatCurve, stroke } from "./blend_curve.js";
import { blendState } from "./blend_state.js";

const STILL = 3; // pixels; a click that moves less draws nothing, so that it can select the node

/** write(text) sets the widget `curve`; draw(layer) draws the chart, with that layer's numbers. */
export function letDrag(plot, node, write, draw) {
  let start = null; // {x, y, layer, value} where the pointer went down
  let last = null; // {layer, value} of the stroke so far; null before it moved
  let values = null;

  plot.addEventListener("pointerdown", (event) => {
    const state = blendState(node);
    if (event.button !== 0 || !state.editable) return;
    plot.setPointerCapture(event.pointerId);
    start = { x: event.clientX, y: event.clientY, ...pointUnder(event, plot, state.layers) };
    last = null;
    values = state.base;
  });
  plot.addEventListener("pointermove", (event) => {
    const point = pointUnder(event, plot, blendState(node).layers);
    if (start && (last || Math.hypot(event.clientX - start.x, event.clientY - start.y) >= STILL)) {
      if (!last) node.graph?.beforeChange(); // the whole stroke is one step of undo
      values = stroke(values, last ?? start, point);
      last = point;
      write(formatCurve(values));
    }
    draw(point.layer);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    plot.addEventListener(end, () => {
      if (start && last) node.graph?.afterChange();
      start = null;
    });
  }
  plot.addEventListener("pointerleave", () => draw());
  plot.addEventListener("dblclick", () => write(""));
}

function pointUnder(event, plot, layers) {
  const box = plot.getBoundingClientRect();
  const across = Math.floor(((event.clientX - box.left) / box.width) * layers);
  const up = 1 - (event.clientY - box.top) / box.height;
  return { layer: clamp(across, 0, layers - 1), value: clamp(up, 0, 1) };
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
