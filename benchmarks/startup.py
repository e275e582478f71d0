"""Seconds that each stage takes to start, before it does anything: `python benchmarks/startup.py`.

Each is imported in a process of its own, with the modules that its main() imports once it has read the parameters; the
fastest of three counts. Beside it what the largest libraries among them take alone.
"""

import subprocess
import sys
import time

STAGES = {  # what main() imports late
    "download": "",
    "preprocess": "",
    "audit": "",
    "train": "pneumo.training.train, timm",
    "predict": "pneumo.scoring.outputs, timm",
    "calibrate": "",
    "ensemble": "",
    "score": "",
    "evaluate": "",
    "evaluate_ensemble": "",
    "select_best": "",
    "export": "pneumo.export.export, timm",
    "ablation": "pneumo.explain.ablation, timm",
    "explain": "pneumo.explain.explain, pneumo.explain.samples, timm",
    "report": "",
}
LIBRARIES = ("torch", "kornia.augmentation", "lightning.pytorch", "timm", "sklearn.metrics", "pandas")
ROUNDS = 3


def seconds(code: str) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    empty = seconds("pass")
    print(f"an empty Python takes {empty:.2f} s, which is taken off")
    print(f"{'stage':<14} seconds   torch")
    for stage, late in STAGES.items():
        code = f"import stages.{stage}" + (f"\nimport {late}" if late else "")
        has_torch = subprocess.run(
            [sys.executable, "-c", f"{code}\nimport sys; sys.exit('torch' in sys.modules)"]
        ).returncode
        print(f"{stage:<14} {seconds(code) - empty:7.2f}   {'yes' if has_torch else 'no'}")
    print(f"{'library':<20} seconds")
    for name in LIBRARIES:
        print(f"{name:<20} {seconds(f'import {name}') - empty:7.2f}")


if __name__ == "__main__":
    main()
