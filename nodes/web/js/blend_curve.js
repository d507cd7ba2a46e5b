// The numbers behind the chart of WBMBlend: the style's share in each layer (eq. 3-5 of the paper).

/** Each layer's mask: 0 below layer `indicator`, `theta` at it, 1 above it. */
export function blendMask(layers, indicator, theta) {
  const mask = new Array(layers).fill(0);
  if (indicator < layers) mask[indicator] = theta;
  return mask.fill(1, indicator + 1);
}

/** "0.1, 0.2 1" -> [0.1, 0.2, 1]; null where the text is not a list of numbers from 0 to 1. */
export function parseCurve(text) {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const values = words.map(Number);
  return values.length && values.every((value) => value >= 0 && value <= 1) ? values : null;
}

/** [0.1, 0.256] -> "0.1, 0.26" */
export function formatCurve(values) {
  return values.map((value) => Number(value.toFixed(2))).join(", ");
}

/** The values after a stroke of the pointer from one point {layer, value} to another. */
export function stroke(values, from, to) {
  const result = [...values];
  const distance = Math.abs(to.layer - from.layer);
  for (let step = 0; step <= distance; step++) {
    const part = distance ? step / distance : 1;
    const layer = from.layer + Math.sign(to.layer - from.layer) * step;
    result[layer] = from.value + (to.value - from.value) * part;
  }
  return result;
}
