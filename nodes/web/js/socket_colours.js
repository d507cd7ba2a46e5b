// Colours of the sockets and links of our types, in the classic canvas and in Nodes 2.0.

import { app } from "../../../scripts/app.js";

const COLOURS = {
  BLENDGAN_MODEL: "#a78bda",
  BLENDGAN_STYLE: "#f06292",
  BLENDGAN_FACE: "#d9b36c",
  BLENDGAN_BLENDED: "#e58a7f", // between face and style
  BLENDGAN_TRANSFORM: "#4db6ac",
};

/**
 * Give map[type] a colour that outlives a change of palette, at which the page blanks every type
 * that the palette does not know. A palette that does know the type wins.
 */
function keepColour(map, type, ours) {
  let colour = map[type] || ours;
  Object.defineProperty(map, type, {
    configurable: true,
    enumerable: true,
    get: () => colour,
    set: (theirs) => {
      colour = theirs || ours;
    },
  });
}

/** Nodes 2.0 reads variables of the root; a palette sets its own inline, which win over these. */
function addVariables() {
  const lines = Object.entries(COLOURS).map(
    ([type, colour]) => `--color-datatype-${type}: ${colour};`,
  );
  const style = document.createElement("style");
  style.textContent = `:root { ${lines.join(" ")} }`;
  document.head.append(style);
}

app.registerExtension({
  name: "BlendGAN.SocketColours",
  setup() {
    const sockets = app.canvas.default_connection_color_byType;
    const links = app.canvas.constructor.link_type_colors;
    for (const [type, colour] of Object.entries(COLOURS)) {
      if (sockets) keepColour(sockets, type, colour);
      if (links) keepColour(links, type, colour);
    }
    addVariables();
    app.canvas.setDirty(true, true);
  },
});
