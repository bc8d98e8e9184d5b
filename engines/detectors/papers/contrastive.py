"""A memory of good patches in a space that was learned by contrast.

ReConPatch [1]: a linear projection of the patch features is trained so that patches that are alike in the frozen space
come together and others are pushed apart, with soft labels (relaxed contrastive loss [2]); the coreset and the nearest
neighbour then work in the learned space, as in PatchCore.

Where this differs from the paper, and why:

* How alike two patches are is read from the frozen features alone; the paper mixes in their common neighbours in a
  slowly moving copy of the projection. One projection, one loss: it can be fitted for every fold of a cross-fit.
* A fixed number of small steps on a bounded number of patches: the time of a training is known beforehand.

References:
    [1] J. Hyun, S. Kim, G. Jeon, S. Kim, K. Bae, B. Kang, "ReConPatch: contrastive patch representation learning for
        industrial anomaly detection", WACV 2024.
    [2] S. Kim, D. Kim, M. Cho, S. Kwak, "Embedding transfer with label relaxation for improved metric learning", CVPR
        2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.bundle.manifest import InputSpec
from engines.detectors.backbones.loading import DEFAULT_BACKBONE
from engines.detectors.base import Features
from engines.detectors.memory import BANK_SIZE, CANDIDATES, MemoryDetector

LEARNED_DIM = 96
STEPS = 120
BATCH = 512
LEARNING_RATE = 1e-3
MARGIN = 1.0
"""In units of the mean distance in a batch; patches that are not alike are pushed apart up to it."""
SEED = 20264


class ContrastiveDetector(MemoryDetector):
    """Distance to the nearest patch of a coreset, after a projection that was learned by contrast.

    Args:
        spec: model input.
        backbone: see `load_backbone`.
        bank_size: patches remembered at most.

    Raises:
        BackboneError: the backbone cannot be loaded or does not take this input.
    """

    def __init__(self, spec: InputSpec, backbone: str = DEFAULT_BACKBONE, *, bank_size: int = BANK_SIZE) -> None:
        super().__init__(spec, backbone, bank_size=bank_size)
        self._frozen_dim = self.dim
        self.learned = nn.Linear(self._frozen_dim, LEARNED_DIM, bias=False)
        self.learned.requires_grad_(requires_grad=False)  # learned in `initialise`, not by the common loop
        self.dim, self._dims = LEARNED_DIM, [LEARNED_DIM]
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("scale", torch.ones(self.dim))
        self.register_buffer("bank", torch.zeros(bank_size, self.dim))

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.initialise`: learn the projection, then choose the coreset behind it."""
        patches = features["patches"].reshape(-1, self._frozen_dim)
        good = patches if weights is None else patches[weights.reshape(-1) > 0]
        if len(good) == 0:
            raise ValueError("all weights are zero: nothing is left to learn from")
        with torch.inference_mode(mode=False), torch.enable_grad():
            self._learn(good.clone())
        super().initialise(self._projected(features), weights)

    def _distances(self, features: Features) -> Tensor:
        return super()._distances(self._projected(features))

    def _projected(self, features: Features) -> dict[str, Tensor]:
        return {"patches": self.learned(features["patches"])}

    def _learn(self, patches: Tensor) -> None:
        """Relaxed contrastive loss [2]: w d^2 + (1 - w) max(0, margin - d)^2 over all pairs of a batch."""
        generator = torch.Generator().manual_seed(SEED)
        patches = patches[torch.randperm(len(patches), generator=generator)[:CANDIDATES]]
        patches = patches / patches.std(correction=0).clamp_min(1e-6)
        start = torch.randn(self._frozen_dim, LEARNED_DIM, generator=generator, dtype=torch.float64)
        basis, _ = torch.linalg.qr(start)
        weight = basis.T.float()[:, : self._frozen_dim].clone().requires_grad_()
        optimiser = torch.optim.AdamW([weight], lr=LEARNING_RATE)
        for _ in range(STEPS):
            batch = patches[torch.randint(len(patches), (min(BATCH, len(patches)),), generator=generator)]
            frozen = torch.cdist(batch, batch).square()
            alike = torch.exp(-frozen / frozen.mean().clamp_min(1e-6))
            learned = functional.linear(batch, weight)
            distance = (torch.cdist(learned, learned).square() + 1e-8).sqrt()
            distance = distance / distance.mean().clamp_min(1e-6)  # so that shrinking all of them gains nothing
            apart = functional.relu(MARGIN - distance)
            loss = (alike * distance.square() + (1 - alike) * apart.square()).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            self.learned.weight.copy_(weight)
