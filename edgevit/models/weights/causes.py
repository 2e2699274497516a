"""What a state dict that fits no model of the zoo most likely is, by names that only its architecture has."""

from collections.abc import Iterable

ARCHITECTURES = (
    (
        ("dist_token", "head_dist."),
        "a distilled DeiT, which has a token and a classifier more; give the weights of the plain one",
    ),
    (
        (".dw0.m.",),
        "Microsoft's EfficientViT, another model of the same name; edgevit has the one of MIT (arXiv 2205.14756)",
    ),
    (("features.0.0.", "features.1."), "a MobileNet or EfficientNet of torchvision, another architecture"),
    (("conv_stem.", "blocks.0.0."), "a MobileNet or EfficientNet of timm, another architecture"),
    (("layer1.0.conv1.", "layer2.0."), "a ResNet, another architecture"),
    (("layers.0.blocks.0.", "relative_position_bias_table"), "a Swin transformer, another architecture"),
    (("patch_embed.proj.", "blocks.0.attn.qkv."), "a plain vision transformer (ViT or DeiT), another architecture"),
    (("stages.0.blocks.0.conv_dw.", "stem.0."), "a ConvNeXt, another architecture"),
)
"""Parts of names that all occur in weights of an architecture, and what to say of it; the first that fits."""

POSITIONS = ("pos_emb", "attention_bias", "relative_bias", "relative_coords", "relative_position", "hat_attn")
"""Parts of the names of tables that belong to one size of the input or of the attention's windows."""


def known_architecture(keys: Iterable[str]) -> str | None:
    """Say which other architecture has weights of these names; None if no known one does."""
    names = list(keys)
    return next(
        (what for parts, what in ARCHITECTURES if all(any(part in name for name in names) for part in parts)), None
    )


def about_positions(keys: Iterable[str]) -> bool:
    """Return whether all names are those of tables that belong to one size."""
    return all(any(part in key for part in POSITIONS) for key in keys)
