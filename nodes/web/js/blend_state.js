// What the chart of one WBMBlend shows: its widgets, and what its last run told of the model.

import { app } from "../../../scripts/app.js";
import { blendMask, parseCurve } from "./blend_curve.js";

export const WIDGETS = ["indicator", "theta", "strength", "curve"]; // that the chart depends on
const MOST_LAYERS = 18; // of a model of 1024 px: how the mask is drawn before the first run

export function findWidget(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

/**
 * -> {layers, mask, alpha, base, share, editable, problem}; the lists have one number a layer.
 *
 * base is the share before `strength`, which a drag changes. Before the first run nobody knows the
 * model: alpha is null and layers a guess. problem: the curve's text fits no model of these layers.
 */
export function blendState(node) {
  const value = (name, otherwise) => findWidget(node, name)?.value ?? otherwise;
  const run = lastRun(node);
  const text = value("curve", "");
  const curve = parseCurve(text);
  const layers = run?.alpha.length ?? curve?.length ?? MOST_LAYERS;
  const fits = curve?.length === layers;
  const writable = Boolean(findWidget(node, "curve")) && !isLinked(node, "curve");
  const state = {
    layers,
    alpha: run?.alpha ?? null,
    editable: writable && Boolean(run || fits),
    problem: text.trim() !== "" && !fits,
  };
  // what another node decides is known from the last run alone
  const measured = run && WIDGETS.some((name) => isLinked(node, name)) ? run : null;
  const mask = measured?.mask ?? blendMask(layers, value("indicator", 6), value("theta", 1));
  const own = measured?.share ?? mask.map((part, layer) => part * (run?.alpha[layer] ?? 1));
  const base = fits ? curve : own;
  const share = measured?.share ?? base.map((part) => part * value("strength", 1));
  return { ...state, mask, base, share };
}

function isLinked(node, name) {
  return node.inputs?.some((input) => input.widget?.name === name && input.link != null);
}

/** {alpha, mask, share} of the last run, or undefined. The page keeps it with the graph. */
function lastRun(node) {
  const inSubgraph = node.graph && node.graph !== node.graph.rootGraph;
  const key = inSubgraph ? `${node.graph.id}:${node.id}` : String(node.id);
  return app.nodeOutputs?.[key]?.blendgan_curve?.[0];
}
