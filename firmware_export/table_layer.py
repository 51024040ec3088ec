"""What the exporters of operators that are tables have in common: the call of ``edgecnn_table``."""

from __future__ import annotations

from typing import ClassVar

from edgecnn.ir import Graph, Node
from edgecnn.table_operator import TableParams
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CArray, CLayer, Exporter


def table_layer(params: TableParams) -> CLayer:
    """The call of the table kernel."""
    return CLayer(
        kernel="table",
        fields={
            "size": params.size,
            "table": CArray(params.table, "the output of each input from -128 to 127"),
        },
        overlaps=IN_PLACE,
    )


class TableExporter(Exporter[TableParams]):
    """Calls the table kernel; subclasses write the TFLite operator."""

    kernel: ClassVar[str] = "table"

    def layer(self, node: Node, graph: Graph, params: TableParams) -> CLayer:
        """The call of the table kernel."""
        return table_layer(params)
