"""Stand-in for ComfyUI's package of model code."""
