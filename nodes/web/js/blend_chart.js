// The picture of the blend inside WBMBlend: a bar for each layer, which the pointer can drag.

import { app } from "../../../scripts/app.js";
import { letDrag } from "./blend_drag.js";
import { addStyleSheet, drawLegend, drawPlot, words } from "./blend_picture.js";
import { WIDGETS, blendState, findWidget } from "./blend_state.js";

const MIN_HEIGHT = 120; // of the widget, with its margins
const charts = new Set(); // a function for each chart of the page, which draws it anew

function addChart(node) {
  const element = document.createElement("div");
  element.className = "blendgan-chart";
  element.style.minHeight = `${MIN_HEIGHT - 20}px`;
  const plot = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const legend = document.createElement("div");
  const reset = document.createElement("button");
  reset.textContent = "↺";
  reset.title = words().reset;
  element.append(plot, legend, reset);

  const draw = (pointed = null) => {
    const state = blendState(node);
    drawPlot(plot, state);
    drawLegend(legend, state, pointed);
    plot.style.cursor = state.editable ? "crosshair" : "default";
    reset.hidden = !findWidget(node, "curve")?.value;
  };
  const write = (text) => {
    const widget = findWidget(node, "curve");
    if (!widget) return;
    widget.value = text;
    widget.callback?.(text, app.canvas, node);
    node.graph?.setDirtyCanvas(true, true);
  };
  letDrag(plot, node, write, draw);
  reset.addEventListener("click", () => write(""));
  element.addEventListener("wheel", (event) => {
    // Nodes 2.0 zooms by itself; in the classic canvas the wheel would end at our element
    if (!window.LiteGraph?.vueNodesMode) app.canvas.processMouseWheel?.(event);
  });

  const widget = node.addDOMWidget("blend", "blendgan_chart", element, {
    serialize: false, // not into the prompt
    getMinHeight: () => MIN_HEIGHT,
  });
  widget.serialize = false; // nor into the saved graph, which holds values by position

  const redraw = () => draw();
  for (const name of WIDGETS) runAfter(findWidget(node, name), "callback", redraw);
  for (const event of ["onExecuted", "onConnectionsChange"]) runAfter(node, event, redraw);
  runAfter(node, "onConfigure", () => {
    replaceStale(node, element);
    draw();
  });
  runAfter(node, "onRemoved", () => charts.delete(redraw));
  charts.add(redraw);
  draw();
}

/** Undo makes the nodes anew, but Nodes 2.0 goes on to show the element of the one that was. */
function replaceStale(node, element) {
  if (node.graph !== app.canvas.graph) return;
  const shown = document.querySelector(`[data-node-id="${node.id}"] .blendgan-chart`);
  if (shown && shown !== element) shown.replaceWith(element);
}

/** Call `then` whenever object[method] was called, which others may have set. */
function runAfter(object, method, then) {
  if (!object) return;
  const before = object[method];
  object[method] = function (...values) {
    const result = before?.apply(this, values);
    then();
    return result;
  };
}

app.registerExtension({
  name: "BlendGAN.BlendChart",
  setup: addStyleSheet,
  nodeCreated(node) {
    if (node.comfyClass === "WBMBlend" && node.addDOMWidget) addChart(node);
  },
  onNodeOutputsUpdated() {
    for (const redraw of charts) redraw();
  },
});
