"""A few training steps of a tiny network, as a digest of its weights: convolution, batch normalisation, linear, AdamW.

    python tests/models/small_training.py avx2
    qemu-x86_64 -cpu Haswell -0 .venv/bin/python $(readlink -f .venv/bin/python) tests/models/small_training.py avx2

The second line shows the libraries another processor and computes in software. It takes minutes.
"""

import hashlib
import sys

from pneumo.models import runtime

SIZE, BATCH, STEPS = 16, 8, 4


def main(cpu_isa: str) -> str:
    runtime.fix(threads=2, cpu_isa=cpu_isa)
    import torch  # not before `fix`
    from torch import nn

    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(SIZE * SIZE, 64), nn.ReLU(), nn.Linear(64, 1)),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, fused=True)
    for _ in range(STEPS):
        logits = network(torch.rand(BATCH, 1, SIZE, SIZE)).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.arange(BATCH) % 2.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
