"""BlendGAN for ComfyUI: hands ComfyUI the entrypoint and the folder of the help pages."""

if __package__:  # pytest imports a pack's root file as a bare module, where nothing relative works
    from .nodes import comfy_entrypoint

    WEB_DIRECTORY = "./nodes/web"

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
