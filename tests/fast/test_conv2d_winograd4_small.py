from __future__ import annotations

from pathlib import Path

from firmware_export.device.cores import CORES
from firmware_export.winograd import F4
from tests.fast.kernel_table import M0PLUS, check_kernel, taken
from tests.fast.winograd_cases import WIDE
from tests.fast.winograd_tests import WinogradTests
from tests.ops.test_conv2d import CASES


class TestConv2DWinograd4Small(WinogradTests):
    kernel = "conv2d_winograd4_small"
    transforms = F4
    seed = 41
    least = 21
    core = M0PLUS

    def test_cases_on_m3(self, tmp_path: Path) -> None:
        m3 = CORES["cortex-m3"]
        check_kernel(self.kernel, [*taken(self.kernel, CASES, m3), *WIDE], tmp_path, core=m3)
