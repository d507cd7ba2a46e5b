"""Stand-in for `comfy_api.latest.io`: sockets, widgets, schema and node class.

Every class takes exactly the keywords of the real one that the pack uses, so a misspelt keyword
fails here as it does in ComfyUI. `GET_NODE_INFO_V1` must answer what the real one answers: both are
compared with tests/node_schema.json.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


def _without_none(values: dict) -> dict:
    return {key: value for key, value in values.items() if value is not None}


class ControlAfterGenerate(str, Enum):
    """What the page does to a widget's value after a run."""

    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


class Input:
    """A socket without a widget."""

    io_type = ""

    def __init__(self, id: str, display_name=None, optional=False, tooltip=None, extra_dict=None):
        self.id = id
        self.optional = optional
        self.options = {"display_name": display_name, "tooltip": tooltip, **(extra_dict or {})}

    def as_dict(self) -> dict:
        """Options as the page gets them; `optional` is told by the group the input stands in."""
        return _without_none(self.options)


class Output:
    """An output socket."""

    io_type = ""

    def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
        self.id = id
        self.display_name = display_name or id
        self.tooltip = tooltip
        self.is_output_list = is_output_list


def Custom(io_type: str) -> type:
    """A socket type of one's own: a class with Input and Output."""
    return type(
        io_type,
        (),
        {
            "io_type": io_type,
            "Input": type("Input", (Input,), {"io_type": io_type}),
            "Output": type("Output", (Output,), {"io_type": io_type}),
        },
    )


Image = Custom("IMAGE")
Mask = Custom("MASK")


class Int:
    io_type = "INT"

    class Input(Input):
        io_type = "INT"

        def __init__(
            self,
            id: str,
            display_name=None,
            optional=False,
            tooltip=None,
            default=None,
            min=None,
            max=None,
            step=None,
            control_after_generate=None,
        ):
            super().__init__(id, display_name, optional, tooltip)
            self.options |= {"default": default, "min": min, "max": max, "step": step}
            self.options["control_after_generate"] = control_after_generate


class Float:
    io_type = "FLOAT"

    class Input(Input):
        io_type = "FLOAT"

        def __init__(
            self,
            id: str,
            display_name=None,
            optional=False,
            tooltip=None,
            default=None,
            min=None,
            max=None,
            step=None,
            round=None,
        ):
            super().__init__(id, display_name, optional, tooltip)
            self.options |= {"default": default, "min": min, "max": max, "step": step}
            self.options["round"] = round


class Boolean:
    io_type = "BOOLEAN"

    class Input(Input):
        io_type = "BOOLEAN"

        def __init__(self, id: str, display_name=None, optional=False, tooltip=None, default=None):
            super().__init__(id, display_name, optional, tooltip)
            self.options |= {"default": default}


class String:
    io_type = "STRING"

    class Output(Output):
        io_type = "STRING"

    class Input(Input):
        io_type = "STRING"

        def __init__(
            self,
            id: str,
            display_name=None,
            optional=False,
            tooltip=None,
            multiline=False,
            default=None,
        ):
            super().__init__(id, display_name, optional, tooltip)
            self.options |= {"default": default, "multiline": multiline}


class Combo:
    io_type = "COMBO"

    class Input(Input):
        io_type = "COMBO"

        def __init__(
            self,
            id: str,
            options=None,
            display_name=None,
            optional=False,
            tooltip=None,
            default=None,
        ):
            super().__init__(id, display_name, optional, tooltip)
            self.options |= {"default": default, "multiselect": False, "options": options}


@dataclass
class Schema:
    """What a node is called, takes and gives."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_output_node: bool = False
    has_intermediate_output: bool = False

    def validate(self) -> None:
        """Ids must be unique among the inputs, and among the outputs."""
        for sockets in (self.inputs, self.outputs):
            ids = [socket.id for socket in sockets if socket.id is not None]
            if len(set(ids)) != len(ids):
                raise ValueError(f"ids must be unique, but are {ids}")


class NodeOutput:
    """What `execute` returns: one value an output."""

    def __init__(self, *args: Any, ui=None, expand=None, block_execution=None):
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self):
        return self.args or None


class ComfyNode:
    """Base class of a node; ComfyUI never makes an instance."""

    RELATIVE_PYTHON_MODULE = None  # ComfyUI writes the pack's name here

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        schema = cls.define_schema()
        schema.validate()
        return schema

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args, **kwargs) -> NodeOutput:
        """`execute` as ComfyUI calls it: only a NodeOutput, or nothing, may come back."""
        output = cls.execute(*args, **kwargs)
        if output is None:
            return NodeOutput()
        if not isinstance(output, NodeOutput):
            raise TypeError(f"{cls.__name__} returned {type(output)}, not a NodeOutput")
        return output

    @classmethod
    def GET_NODE_INFO_V1(cls) -> dict:
        """The node as the page gets it from /object_info."""
        schema = cls.GET_SCHEMA()
        sockets: dict[str, dict] = {"required": {}}
        for socket in schema.inputs:
            group = sockets.setdefault("optional" if socket.optional else "required", {})
            group[socket.id] = (socket.io_type, socket.as_dict())
        if schema.is_output_node:
            sockets["hidden"] = {"prompt": ("PROMPT",), "extra_pnginfo": ("EXTRA_PNGINFO",)}
        return {
            "input": sockets,
            "input_order": {group: list(members) for group, members in sockets.items()},
            "is_input_list": False,
            "output": [output.io_type for output in schema.outputs],
            "output_is_list": [output.is_output_list for output in schema.outputs],
            "output_name": [output.display_name or output.io_type for output in schema.outputs],
            "output_tooltips": [output.tooltip for output in schema.outputs],
            "output_matchtypes": None,
            "name": schema.node_id,
            "display_name": schema.display_name,
            "description": schema.description,
            "python_module": cls.RELATIVE_PYTHON_MODULE,
            "category": schema.category,
            "output_node": schema.is_output_node,
            "deprecated": False,
            "experimental": False,
            "dev_only": False,
            "api_node": False,
            "price_badge": None,
            "search_aliases": schema.search_aliases or None,
            "essentials_category": None,
            "has_intermediate_output": schema.has_intermediate_output,
        }
