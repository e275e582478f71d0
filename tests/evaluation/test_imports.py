import subprocess
import sys

LIGHT = ("bootstrap", "choice", "decision", "ensemble", "evaluate", "intervals", "metrics")
SLOW = ("sklearn", "scipy.stats", "scipy.optimize", "torch", "matplotlib")  # a second and more, in each process


def test_stages_that_only_read_scores_start_without_slow_libraries(root):
    code = f"import sys; from pneumo.evaluation import {', '.join(LIGHT)}; print(*({set(SLOW)} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "\n"
