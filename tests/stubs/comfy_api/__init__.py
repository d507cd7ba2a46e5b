"""Stand-in for ComfyUI's package of node APIs."""
