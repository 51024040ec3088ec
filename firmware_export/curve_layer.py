"""What the exporters of operators that are tables, and curves of int16, have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from edgecnn.curve_operator import CurveParams
from edgecnn.ir import Graph, Node
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CLayer
from firmware_export.table_layer import TableExporter


class CurveExporter(TableExporter):
    """Calls the table kernel, or the one of an int16 curve; subclasses write the operator."""

    wide_kernel: ClassVar[str]

    def layer(self, node: Node, graph: Graph, params: Any) -> CLayer:
        """The call of either kernel."""
        if not isinstance(params, CurveParams):
            return super().layer(node, graph, params)
        fields = {
            "size": params.size,
            "multiplier": params.multiplier,
            "right_shift": params.right_shift,
        }
        return CLayer(kernel=self.wide_kernel, fields=fields, overlaps=IN_PLACE)
