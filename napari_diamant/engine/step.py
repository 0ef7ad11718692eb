"""One optimiser step: augmentation, both passes in the device's precision, memory that runs out."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from napari_diamant.config import TrainConfig
from napari_diamant.engine import device as devices
from napari_diamant.engine.augment import Augment
from napari_diamant.engine.dataset import Batch
from napari_diamant.engine.losses import segmentation_loss
from napari_diamant.errors import UserError

CLIP = 1.0
"""Largest norm of the gradient."""


def accelerator_for(name: str, precision: str) -> Accelerator:
    """Make the accelerator for a device and a precision as `TrainConfig` names them."""
    device = devices.choose_device(name)
    half = devices.precision(precision, device) == torch.bfloat16
    if device.index is not None:
        torch.cuda.set_device(device)
    # Accelerate holds a process to the choices of its first accelerator, but fits may follow each other.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if half else "no")


class Stepper:
    """A network, its optimiser, and the way from a batch of windows to new weights.

    Parameters
    ----------
    network
        Is moved to the accelerator's device, channels last.
    config
        The recipe.
    augment
        What is done to the windows.
    accelerator
        Device and precision.

    Attributes
    ----------
    bare
        The network whose weights a checkpoint takes.
    network
        The same, prepared: it computes in the accelerator's precision and gives float32.
    """

    def __init__(
        self, network: nn.Module, config: TrainConfig, augment: Augment, accelerator: Accelerator
    ) -> None:
        self.config, self.augment, self.accelerator = config, augment, accelerator
        self.part = config.batch_size
        self.bare = network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            self.bare.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.network, self.optimizer = accelerator.prepare(self.bare, optimizer)

    def step(self, batch: Batch, number: int, factor: float) -> Tensor:
        """Make one optimiser step and give its loss, a detached scalar.

        Parameters
        ----------
        batch
            Windows as `CropSampler.batch` cuts them.
        number
            Of the step: it fixes, with the configuration's seed, all chance in it.
        factor
            Of the learning rate.

        Raises
        ------
        UserError
            When not even one crop fits into the device's memory.
        """
        seed = self.config.seed * 1_000_003 + number
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor
        while True:
            try:
                loss = self._backward(self._crops(batch, seed), seed)
                break
            except torch.OutOfMemoryError as fault:
                self._halve(fault)
        self.accelerator.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        return loss

    def _crops(self, batch: Batch, seed: int) -> Batch:
        device = self.accelerator.device
        image, maps, labels = batch
        on_device = None if maps is None else maps.to(device, non_blocking=True)
        return self.augment(
            image.to(device, non_blocking=True), on_device, labels.to(device, non_blocking=True), seed
        )

    def _backward(self, crops: Batch, seed: int) -> Tensor:
        """Add up the gradient of a batch, part by part."""
        self.optimizer.zero_grad()
        torch.manual_seed(seed)  # of the network's own chance: which heads it drops
        image, maps, labels = crops
        total = torch.zeros((), device=self.accelerator.device)
        for first in range(0, len(image), self.part):
            some = slice(first, first + self.part)
            share = len(labels[some]) / len(labels)
            layout = image[some].contiguous(memory_format=torch.channels_last)
            logits = self.network(layout, None if maps is None else maps[some])
            loss = segmentation_loss(logits, labels[some], self.config.dice_weight) * share
            self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def _halve(self, fault: torch.OutOfMemoryError) -> None:
        """Send half as many crops through the device at once; a step stays one of `batch_size` crops."""
        if self.part == 1:
            raise UserError(
                "A training step must fit into the device's memory, got none left for a single crop of "
                f"{self.config.crop} pixels. Lower crop or the model's width, or set device to cpu."
            ) from fault
        self.part = -(-self.part // 2)
        self.optimizer.zero_grad()
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
