"""One frozen vision transformer that gives the attention of its class token, and nothing else.

Only the class token's row of the attention is ever formed, in the one block that is asked for: for ViT-S/8
at 480 by 480 pixels 86 kB instead of 311 MB. The blocks before it run in full with fused attention.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from timm.layers import apply_rot_embed_cat
from torch import Tensor, nn
from torch.nn import functional

from napari_diamant.errors import UserError
from napari_diamant.models.backbone_specs import BackboneSpec


class Backbone(nn.Module):
    """A vision transformer of timm, frozen for good: in evaluation mode, without gradients.

    Parameters
    ----------
    vit
        timm's ``VisionTransformer`` or ``Eva``, made with ``dynamic_img_size=True``.
    name, spec
        Key and value in `BACKBONES`, or the file's stem and a specification read from its shapes.
    words
        What the user reads about the weights.
    trained
        False when they are random.

    Attributes
    ----------
    patch, heads, blocks
        Side of a patch in pixels, attention heads per block, number of blocks.
    weights_hash
        SHA-256 over names, shapes and float32 values of the weights, whatever file they came in.
    """

    def __init__(self, vit: Any, name: str, spec: BackboneSpec, words: str, trained: bool) -> None:
        super().__init__()
        self.vit = vit.eval().requires_grad_(False)
        self.spec = spec
        self.name = name
        self.words = words
        self.trained = trained
        self.patch = spec.patch
        self.blocks = len(vit.blocks)
        self.heads = int(vit.blocks[0].attn.num_heads)
        self.weights_hash = weights_hash(vit.state_dict())

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode, also as a part of a network that is being trained."""
        return super().train(False)

    def block_index(self, block: int) -> int:
        """Count a block from 0; negative numbers count from the end.

        Raises
        ------
        UserError
            When there is no such block.
        """
        if not -self.blocks <= block < self.blocks:
            raise UserError(
                f"{self.name} has blocks 0 to {self.blocks - 1} (or -1 for the last), got {block}. "
                "Choose one of them."
            )
        return block % self.blocks

    @torch.no_grad()
    def cls_attention(self, images: Tensor, block: int = -1) -> Tensor:
        """Give the softmax weights with which the class token attends to each patch.

        Parameters
        ----------
        images
            ``(B, 3, H, W)``, ImageNet-normalised; H and W are multiples of the patch.
        block
            Transformer block, negative from the end.

        Returns
        -------
        Tensor
            ``(B, heads, H / patch, W / patch)`` float32, also under autocast. The columns of the class token
            and of registers are dropped without renormalising, as DINO's ``visualize_attention.py`` does.

        Raises
        ------
        UserError
            When H or W is not a multiple of the patch, or there is no such block.
        """
        index = self.block_index(block)
        height, width = images.shape[-2:]
        if height % self.patch or width % self.patch:
            padded = (-(-height // self.patch) * self.patch, -(-width // self.patch) * self.patch)
            raise UserError(
                f"Height and width must be multiples of {self.patch}, got {(height, width)}. Pad to {padded}."
            )
        tokens, rotary = self._embed(images)  # (B, prefix + patches, width)
        rope = {} if rotary is None else {"rope": rotary}
        for layer in self.vit.blocks[:index]:
            tokens = layer(tokens, **rope)
        row = cls_row(self.vit.blocks[index], tokens, rotary)[..., self.vit.num_prefix_tokens :]
        return row.reshape(*row.shape[:2], height // self.patch, width // self.patch)

    def _embed(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Give the tokens that enter the first block, and the rotary embedding where there is one."""
        patches = self.vit.patch_embed(images)  # (B, H / patch, W / patch, width)
        if self.spec.positions == "timm":
            embedded = self.vit._pos_embed(patches)
            tokens, rotary = embedded if self.spec.rotary else (embedded, None)
        else:
            positions = dino_positions(self.vit.pos_embed, patches.shape[1], patches.shape[2])
            cls = self.vit.cls_token.expand(len(patches), -1, -1)
            tokens, rotary = torch.cat((cls, patches.flatten(1, 2)), dim=1) + positions, None
        return self.vit.norm_pre(tokens), rotary


def dino_positions(embedding: Tensor, rows: int, columns: int) -> Tensor:
    """Resample position embeddings as DINO does, for any number of rows and columns.

    The learned square of N patches is resampled bicubically, without antialiasing, by the scale factors
    ``((rows + 0.1) / sqrt(N), (columns + 0.1) / sqrt(N))``, and left as it is at its own size. Source of the
    rule: ``interpolate_pos_encoding`` in facebookresearch/dino, vision_transformer.py. timm's own resampling
    differs by up to 1e-3 in the last attention.

    Parameters
    ----------
    embedding
        ``(1, 1 + N, width)``, the class token's first.

    Returns
    -------
    Tensor
        ``(1, 1 + rows * columns, width)``.
    """
    side = round((embedding.shape[1] - 1) ** 0.5)
    if (rows, columns) == (side, side):
        return embedding
    square = embedding[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
    # The 0.1 takes part in the sampling positions, so target sizes alone would not give the same values.
    factors = ((rows + 0.1) / side, (columns + 0.1) / side)
    resampled = functional.interpolate(square, scale_factor=factors, mode="bicubic")
    return torch.cat((embedding[:, :1], resampled.permute(0, 2, 3, 1).flatten(1, 2)), dim=1)


def cls_row(block: Any, tokens: Tensor, rotary: Tensor | None = None) -> Tensor:
    """Form the class token's row of a block's attention, and no other.

    Parameters
    ----------
    block
        A block of timm's ``VisionTransformer`` or ``Eva`` with a fused query-key-value projection.
    tokens
        ``(B, N, width)``, what enters the block.
    rotary
        Rotary embedding of the patches; the class token and registers are not rotated.

    Returns
    -------
    Tensor
        ``(B, heads, N)`` float32; each row sums to 1.
    """
    attention = block.attn
    normed = block.norm1(tokens)
    query_weight, key_weight, _ = attention.qkv.weight.chunk(3)
    query_bias, key_bias = _biases(attention)
    shape = (len(tokens), -1, attention.num_heads, attention.head_dim)
    query = functional.linear(normed[:, :1], query_weight, query_bias).reshape(shape).transpose(1, 2)
    keys = functional.linear(normed, key_weight, key_bias).reshape(shape).transpose(1, 2)
    query, keys = attention.q_norm(query), attention.k_norm(keys)  # (B, heads, 1 or N, head_dim)
    if rotary is not None:
        prefix = attention.num_prefix_tokens
        rotated = apply_rot_embed_cat(keys[:, :, prefix:], rotary, half=attention.rotate_half)
        keys = torch.cat((keys[:, :, :prefix], rotated.type_as(keys)), dim=2)
    with torch.autocast(tokens.device.type, enabled=False):
        logits = query.float() * attention.scale @ keys.float().transpose(-2, -1)  # (B, heads, 1, N)
        return torch.softmax(logits.squeeze(2), dim=-1)


def _biases(attention: Any) -> tuple[Tensor | None, Tensor | None]:
    """Give the biases of query and key; ``Eva`` keeps them apart from the projection."""
    if hasattr(attention, "q_bias"):
        return attention.q_bias, attention.k_bias
    if attention.qkv.bias is None:
        return None, None
    query_bias, key_bias, _ = attention.qkv.bias.chunk(3)
    return query_bias, key_bias


def weights_hash(state: dict[str, Tensor]) -> str:
    """Hash weights by name, shape and float32 values, so that the same weights in two formats agree."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().float().cpu().contiguous().numpy()
        digest.update(f"{name} {values.shape} ".encode())
        digest.update(values.data)
    return digest.hexdigest()
